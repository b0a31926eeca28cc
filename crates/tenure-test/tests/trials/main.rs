//! Short runs of what has long ones: faults at each point, storms, loads, and the formats that they write.

mod crash_matrix;
mod formats;
mod inject;
mod load;
mod long_runs;
mod storm;
