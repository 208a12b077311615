//! Others at the launcher's socket: they keep nobody out and break nothing.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use meros_agent::containerizer::{Found, WaitStatus};

use crate::fixture::{Host, Leave, container};

fn connect(host: &Host) -> UnixStream {
    let stream = UnixStream::connect(host.work.path().join("launcher.sock")).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a valid time");
    stream
}

#[tokio::test]
async fn garbage_and_half_messages_disturb_nobody() {
    let mut host = Host::start().await;
    let a = host.running("a", "while ! [ -e $WORK/go ]; do sleep 0.01; done; exit 7").await;
    let mut silent = Vec::new();
    for said in [
        &b""[..],
        b"\xff\xff\xff\xff",
        b"\x05\0\0\0\x63abcd",
        b"\x02\0\0\0\x01",
        b"\x0f\0\0\0\x03\x01\0\0\0a",
        // An order before the greeting.
        b"\x0e\0\0\0\x03\x01\0\0\0a\0\0\0\0\0\0\0\0",
        // A greeting of protocol 1.
        b"\x1e\0\0\0\x01\x01\0\0\0\x01\0\0\0\x05\0\0\x000.1.0\0\0\0\0\0\0\0\0\x07\0\0\0",
    ] {
        let mut stream = connect(&host);
        stream.write_all(said).expect("it reads");
        silent.push(stream);
    }
    // Refused with what the launcher speaks.
    let mut answer = Vec::new();
    silent[6].read_to_end(&mut answer).expect("it answers and closes");
    assert_eq!(answer[4..13], *b"\x01\x02\0\0\0\x02\0\0\0", "{answer:?}");
    // More than it keeps: the oldest are closed.
    for _ in 0..20 {
        silent.push(connect(&host));
    }
    let (mut host, found) = host.comes_back(Leave::Killed).await;
    assert_eq!(found, [Found::Running { container: container("a"), pid: a }]);
    host.running("b", "exit 1").await;
    assert_eq!(Host::exited(host.event().await).1, WaitStatus::Exited(1));
    std::fs::write(host.work.path().join("go"), "").expect("writable");
    assert_eq!(Host::exited(host.event().await).1, WaitStatus::Exited(7));
    drop(silent);
    host.stop().await;
}
