//! The program behind both proxies: a thread for each connection, answers of the length that the path names.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// Starts it; it serves for as long as this process lives.
pub(super) fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Ends with its client.
            std::thread::spawn(move || drop(serve(stream)));
        }
    });
    address
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut request, mut answer) = (Vec::new(), Vec::new());
    let mut buffer = [0_u8; 4096];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        request.extend_from_slice(&buffer[..count]);
        if !request.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = String::from_utf8_lossy(&request);
        let length = text.split([' ', '/']).find_map(|word| word.parse().ok()).unwrap_or(0_usize);
        let closes = text.contains("Connection: close");
        if answer.len() < length {
            let connection = if closes { "close" } else { "keep-alive" };
            answer =
                format!("HTTP/1.1 200 OK\r\nConnection: {connection}\r\nContent-Length: {length}\r\n\r\n")
                    .into_bytes();
            answer.resize(answer.len() + length, b'x');
        }
        stream.write_all(&answer)?;
        if closes {
            return Ok(());
        }
        request.clear();
    }
}
