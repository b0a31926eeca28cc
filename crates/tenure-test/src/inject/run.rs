//! Many trials: every call of a road in turn, as far as the road is long.

use crate::inject::fault::{Kind, Road, Who};
use crate::inject::report::Report;
use crate::inject::trial::{Tools, Trial};

/// Which of the calls of a road are struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The first, from 1.
    pub first: usize,
    /// Every how many-th after it.
    pub step: usize,
    /// The last, whether the road is longer or not.
    pub last: usize,
}

/// Runs the trials of one road: until a fault finds no call any more, or `pace` ends.
pub fn row(tools: &Tools, (who, road, kind): (Who, Road, &Kind), pace: Pace, report: &mut Report) {
    for nth in (pace.first..=pace.last).step_by(pace.step.max(1)) {
        let trial = Trial { who, road, kind: kind.clone(), nth };
        let finding = trial.run(tools);
        let struck = finding.struck;
        report.add(&trial, finding);
        if !struck {
            return;
        }
    }
}
