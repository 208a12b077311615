//! Garbage on the master's port: whoever sends it is cut off, and the master goes on.

use std::net::SocketAddr;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cluster::{Roles, registered};
use crate::framework::user;
use crate::marathon::{deploy, sleeper};
use crate::scheduler::Scheduler;
use crate::wait::within_patience;

/// Sends bytes and ends that half of the connection; returns when the other end has closed it too.
async fn send_and_wait(master: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(master).await.expect("it listens");
    // It may hang up before all is sent.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = within_patience("that it is cut off", stream.read_to_end(&mut answer)).await;
    answer
}

/// An HTTP/2 frame (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, stream];
    frame.extend_from_slice(payload);
    frame
}

/// A call of `AgentLink/Connect` that carries `message` as its first gRPC message.
fn agent_link(message: &[u8]) -> Vec<u8> {
    const HEADERS: u8 = 1;
    const END_HEADERS: u8 = 4;
    // HPACK (RFC 7541): indexed fields, and literals whose names are indexed, without Huffman code.
    let mut headers = vec![0x83, 0x86];
    let mut literal = |name: &[u8], value: &str| {
        headers.extend_from_slice(name);
        headers.push(u8::try_from(value.len()).expect("a short value"));
        headers.extend_from_slice(value.as_bytes());
    };
    literal(&[0x04], "/meros.agent.v1.AgentLink/Connect");
    literal(&[0x01], "master");
    literal(&[0x0f, 0x10], "application/grpc");
    literal(&[0x00, 0x02, b't', b'e'], "trailers");
    let mut grpc = vec![0];
    grpc.extend(u32::try_from(message.len()).expect("a small message").to_be_bytes());
    grpc.extend_from_slice(message);
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[]));
    bytes.extend(frame(HEADERS, END_HEADERS, 1, &headers));
    bytes.extend(frame(0, 0, 1, &grpc));
    bytes
}

#[tokio::test]
async fn garbage_is_cut_off_and_the_master_goes_on() {
    let roles = Roles::start(1).await;
    let marathon = roles.marathon().await;
    let master = roles.master.api.address;
    let mut noise = Vec::new();
    let mut state = 0x2545_f491_u32;
    noise.resize_with(100_000, || {
        // A linear congruence: noise enough, and the same in every run.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for garbage in [
        &b"\0"[..],
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost",
        b"POST /api/v1/scheduler HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
        b"POST /api/v1/scheduler HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /meros.agent.v1.AgentLink/Connect HTTP/1.1\r\nHost: m\r\nContent-Type: application/grpc\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
        &noise,
        &[&preface[..], &noise].concat(),
        &preface[..preface.len() - 3],
    ] {
        send_and_wait(master, garbage).await;
        assert_eq!(roles.master.api.get("/state").await["activated_slaves"], 1.0);
    }
    deploy(&marathon.api, &sleeper("/unharmed", 2)).await;
    marathon.stop().await;
    roles.stop_allowing(&["cut an agent off: it sent a message that could not be decoded"]).await;
}

#[tokio::test]
async fn an_agent_that_talks_nonsense_is_cut_off_with_a_line_in_the_log() {
    let mut roles = Roles::start(0).await;
    let master = roles.master.api.address;
    for (message, says) in [
        // Field 1, a message of five bytes, of which there are two.
        (&b"\x0a\x05ab"[..], "it sent a message that could not be decoded"),
        // Field 15: none that we know.
        (b"\x7a\x01a", "it sent a message of an unknown kind"),
        // A pong before the hello.
        (b"\x22\x02\x08\x01", "its first message was not a hello"),
        // A hello that speaks versions 90 to 99 of the protocol.
        (b"\x0a\x04\x08\x5a\x10\x63", "it speaks protocol versions 90 to 99"),
    ] {
        let mut stream = TcpStream::connect(master).await.expect("it listens");
        stream.write_all(&agent_link(message)).await.expect("it is read");
        roles.master.process.logs(&format!("cut an agent off: {says}")).await;
        // It is told why before its stream ends, after our own hello.
        let mut told = Vec::new();
        while !told.windows(says.len()).any(|window| window == says.as_bytes()) {
            let read = within_patience("the reason", stream.read_buf(&mut told)).await;
            assert_ne!(read.expect("text"), 0, "{message:?}: the connection was closed: {told:?}");
        }
    }
    assert_eq!(roles.master.api.get("/slaves").await["slaves"], json!([]));
    let agent = roles.agent(1, &[]).await;
    roles.agents.push(agent);
    registered(&roles.master.api, 1).await;
    roles.stop_allowing(&["cut an agent off"]).await;
}

#[tokio::test]
async fn connections_that_say_nothing_or_half_a_request_hinder_nobody() {
    let roles = Roles::start(1).await;
    let marathon = roles.marathon().await;
    let master = roles.master.api.address;
    let mut idle = Vec::new();
    for number in 0..100 {
        let api = if number % 2 == 0 { master } else { marathon.api.address };
        let mut stream = TcpStream::connect(api).await.expect("it listens");
        if number % 4 < 2 {
            stream.write_all(b"POST /v2/apps HTTP/1.1\r\nContent-Le").await.expect("it is read");
        }
        idle.push(stream);
    }
    let mut scheduler =
        Scheduler::subscribe(master, json!({"user": user(), "name": "foreign"})).await;
    scheduler.offer().await;
    scheduler.accepted(json!({"type": "TEARDOWN"})).await;
    deploy(&marathon.api, &sleeper("/unharmed", 1)).await;
    // They don't hold up the stop either.
    marathon.stop().await;
    roles.stop().await;
    drop(idle);
}
