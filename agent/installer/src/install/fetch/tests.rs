use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;

/// What the server does with one connection.
#[derive(Clone, Copy)]
enum Answer {
    /// Says the whole size and hangs up after so many bytes.
    BreakAfter(usize),
    /// Sends everything that is asked for.
    All,
    /// Sends the whole although a part was asked for.
    NoRanges,
    /// Only a status.
    Status(&'static str),
}

fn content() -> Vec<u8> {
    (0..200_000_u32)
        .map(|number| (number % 253) as u8)
        .collect()
}

async fn serve(answers: Vec<Answer>) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..length]).to_lowercase();
            let from = request.split_once("range: bytes=").map_or(0, |(_, rest)| {
                rest.split('-').next().unwrap().parse::<usize>().unwrap()
            });
            let whole = content();
            let size = whole.len();
            let part = |from: usize| {
                let length = size - from;
                if from == 0 {
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n")
                } else {
                    let last = size - 1;
                    format!(
                        "HTTP/1.1 206 Partial Content\r\ncontent-length: {length}\r\n\
                         content-range: bytes {from}-{last}/{size}\r\n\r\n"
                    )
                }
            };
            let (head, body) = match answer {
                Answer::BreakAfter(count) => (part(from), &whole[from..from + count]),
                Answer::All => (part(from), &whole[from..]),
                Answer::NoRanges => (part(0), &whole[..]),
                Answer::Status(status) => (format!("HTTP/1.1 {status}\r\n\r\n"), &[][..]),
            };
            stream.write_all(head.as_bytes()).await.unwrap();
            // The client may have hung up.
            drop(stream.write_all(body).await);
        }
    });
    (address, tasks)
}

async fn fetched(answers: Vec<Answer>) -> io::Result<Vec<u8>> {
    let (address, _server) = serve(answers).await;
    let total = Arc::new(AtomicU64::new(0));
    let mut source = Source::new(
        address,
        "/image".to_owned(),
        Arc::clone(&total),
        Arc::default(),
    );
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        source.read_to_end(&mut bytes).map(|_| bytes)
    });
    let bytes = read.await.unwrap()?;
    assert_eq!(total.load(Ordering::Relaxed), content().len() as u64);
    Ok(bytes)
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_was() {
    for (name, answers) in [
        ("at once", vec![Answer::All]),
        (
            "two breaks",
            vec![
                Answer::BreakAfter(70_000),
                Answer::BreakAfter(1),
                Answer::All,
            ],
        ),
        (
            "no ranges",
            vec![Answer::BreakAfter(70_000), Answer::NoRanges],
        ),
        (
            "a busy agent",
            vec![Answer::Status("503 Service Unavailable"), Answer::All],
        ),
    ] {
        assert!(fetched(answers).await.unwrap() == content(), "{name}");
    }
}

#[tokio::test]
async fn a_refusal_ends_it() {
    for status in ["404 Not Found", "410 Gone"] {
        let error = fetched(vec![Answer::Status(status)]).await.unwrap_err();
        assert!(chain(&error).contains(status), "{error}");
    }
}

#[tokio::test]
async fn an_installation_that_was_given_up_does_not_ask_again() {
    // A server that hangs up before the end would be asked again, for ten minutes.
    let (address, _server) = serve(vec![Answer::BreakAfter(1)]).await;
    let abandoned = Arc::new(AtomicBool::new(false));
    let mut source = Source::new(
        address,
        "/image".to_owned(),
        Arc::default(),
        Arc::clone(&abandoned),
    );
    let read = tokio::task::spawn_blocking(move || {
        source.read_exact(&mut [0]).unwrap();
        abandoned.store(true, Ordering::Relaxed);
        source.read(&mut [0])
    });
    let error = read.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("given up"), "{error}");
}
