//! The cache against a web server that resumes, lies, is slow or has nothing.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vitistack_protocol::ids::Digest;
use vitistack_protocol::message::intent::Image;
use vitistack_protocol::message::numbered::{ImageFormat, Reason};

use super::{Config, Images, State, file_name, space};

#[derive(Default)]
struct Site {
    content: Mutex<Vec<u8>>,
    ranges: Mutex<Vec<String>>,
    asked: AtomicU32,
    /// Answer with nothing for ever.
    silent: bool,
}

async fn serve(site: Site) -> (String, Arc<Site>, tokio::task::JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let site = Arc::new(site);
    let app = Router::new()
        .route("/os", get(answer))
        .with_state(Arc::clone(&site));
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
    (format!("http://{address}"), site, tasks)
}

async fn answer(Extract(site): Extract<Arc<Site>>, headers: HeaderMap) -> Response {
    site.asked.fetch_add(1, Ordering::Relaxed);
    if site.silent {
        let never = futures::stream::pending::<Result<Vec<u8>, std::io::Error>>();
        return Body::from_stream(never).into_response();
    }
    let content = site.content.lock().unwrap().clone();
    let Some(range) = headers.get(header::RANGE) else {
        return content.into_response();
    };
    let range = range.to_str().unwrap().to_owned();
    site.ranges.lock().unwrap().push(range.clone());
    let start: usize = range
        .trim_start_matches("bytes=")
        .trim_end_matches('-')
        .parse()
        .unwrap();
    match content.get(start..) {
        Some(rest) if !rest.is_empty() => {
            (StatusCode::PARTIAL_CONTENT, rest.to_vec()).into_response()
        }
        Some(_) | None => StatusCode::RANGE_NOT_SATISFIABLE.into_response(),
    }
}

fn cache(directory: &Path, quota: u64) -> Images {
    let config = Config {
        stall: Duration::from_millis(500),
        ..Config::new(directory.to_owned(), quota)
    };
    Images::new(config, TaskTracker::new(), CancellationToken::new()).unwrap()
}

fn image(url: String, content: &[u8]) -> Image {
    Image {
        url,
        digest: Digest::of(content),
        format: ImageFormat::Raw,
        ca_bundle: String::new(),
    }
}

async fn fetched(images: &Images, image: &Image) -> State {
    images.fetch(image, || {});
    tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            match images.state(image).await {
                State::Absent | State::Fetching { .. } => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                end => return end,
            }
        }
    })
    .await
    .expect("the download ends")
}

fn reason(state: &State) -> Option<Reason> {
    match state {
        State::Failed { reason, .. } => Some(*reason),
        State::Absent | State::Fetching { .. } | State::Ready { .. } => None,
    }
}

fn content() -> Vec<u8> {
    (0..300_000_u32).flat_map(u32::to_le_bytes).collect()
}

#[tokio::test]
async fn an_image_is_fetched_once_verified_and_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let (url, site, _tasks) = serve(Site {
        content: Mutex::new(content()),
        ..Site::default()
    })
    .await;
    let image = image(format!("{url}/os"), &content());
    let images = cache(directory.path(), 10 << 20);
    assert_eq!(images.state(&image).await, State::Absent);
    let State::Ready { path } = fetched(&images, &image).await else {
        panic!("it is there");
    };
    assert_eq!(std::fs::read(path).unwrap(), content());
    images.fetch(&image, || {});
    let restarted = cache(directory.path(), 10 << 20);
    assert!(matches!(restarted.state(&image).await, State::Ready { .. }));
    assert_eq!(site.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_part_is_resumed_where_it_ended() {
    let directory = tempfile::tempdir().unwrap();
    let (url, site, _tasks) = serve(Site {
        content: Mutex::new(content()),
        ..Site::default()
    })
    .await;
    let image = image(format!("{url}/os"), &content());
    let part = directory
        .path()
        .join(format!("{}.part", file_name(image.digest)));
    std::fs::write(&part, &content()[..1000]).unwrap();
    let images = cache(directory.path(), 10 << 20);
    assert!(matches!(
        fetched(&images, &image).await,
        State::Ready { .. }
    ));
    assert_eq!(*site.ranges.lock().unwrap(), ["bytes=1000-"]);
}

#[tokio::test]
async fn a_part_of_something_else_or_a_whole_part_does_not_stand_in_the_way() {
    for part in [vec![7; 5000], content()] {
        let directory = tempfile::tempdir().unwrap();
        let (url, _site, _tasks) = serve(Site {
            content: Mutex::new(content()),
            ..Site::default()
        })
        .await;
        let image = image(format!("{url}/os"), &content());
        let file = format!("{}.part", file_name(image.digest));
        std::fs::write(directory.path().join(file), part).unwrap();
        let images = cache(directory.path(), 10 << 20);
        assert!(matches!(
            fetched(&images, &image).await,
            State::Ready { .. }
        ));
    }
}

#[tokio::test]
async fn other_bytes_are_never_published_and_a_correction_is_tried_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let (url, site, _tasks) = serve(Site {
        content: Mutex::new(b"other bytes".to_vec()),
        ..Site::default()
    })
    .await;
    let wanted = image(format!("{url}/os"), &content());
    let images = cache(directory.path(), 10 << 20);
    let state = fetched(&images, &wanted).await;
    assert_eq!(reason(&state), Some(Reason::ImageDigestMismatch));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    *site.content.lock().unwrap() = content();
    assert!(matches!(
        fetched(&images, &wanted).await,
        State::Ready { .. }
    ));
}

#[tokio::test]
async fn nothing_there_is_said_with_the_status_and_tried_again_slowly() {
    let directory = tempfile::tempdir().unwrap();
    let (url, _site, _tasks) = serve(Site::default()).await;
    let images = cache(directory.path(), 10 << 20);
    let missing = image(format!("{url}/missing"), b"");
    let State::Failed {
        reason,
        message,
        retry_in,
    } = fetched(&images, &missing).await
    else {
        panic!("there is no such image");
    };
    assert_eq!(reason, Reason::ImageFetchFailed);
    assert!(
        message.contains("404") && message.contains("imageID"),
        "{message}"
    );
    assert!(retry_in > Duration::from_secs(200));
    let corrected = Image {
        url: format!("{url}/os"),
        ..missing
    };
    assert_eq!(images.state(&corrected).await, State::Absent);
}

#[tokio::test]
async fn a_silent_server_and_an_absent_one_are_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let (url, _site, _tasks) = serve(Site {
        silent: true,
        ..Site::default()
    })
    .await;
    let images = cache(directory.path(), 10 << 20);
    let silent = image(format!("{url}/os"), b"silent");
    let state = fetched(&images, &silent).await;
    assert_eq!(reason(&state), Some(Reason::ImageFetchFailed));
    let absent = image("http://127.0.0.1:1/os".to_owned(), b"absent");
    let state = fetched(&images, &absent).await;
    assert_eq!(reason(&state), Some(Reason::ImageFetchFailed));
}

#[tokio::test]
async fn an_image_beyond_the_quota_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (url, _site, _tasks) = serve(Site {
        content: Mutex::new(content()),
        ..Site::default()
    })
    .await;
    let images = cache(directory.path(), 1000);
    let state = fetched(&images, &image(format!("{url}/os"), &content())).await;
    assert_eq!(reason(&state), Some(Reason::ImageTooLarge));
}

#[test]
fn the_longest_unused_image_goes_first_and_one_in_use_stays() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        std::fs::write(directory.path().join(name), [0; 100]).unwrap();
    }
    let now = SystemTime::now();
    let ago = |seconds| now - Duration::from_secs(seconds);
    let used = HashMap::from([
        ("a".to_owned(), ago(10)),
        ("b".to_owned(), ago(5000)),
        ("c".to_owned(), ago(9000)),
    ]);
    let room = |quota, bytes| space::make_room(directory.path(), quota, bytes, &used, now);
    assert_eq!(room(400, 100).unwrap(), Vec::<String>::new());
    assert_eq!(room(350, 100).unwrap(), ["c"]);
    let refused = room(250, 200).unwrap_err();
    assert_eq!(refused.reason(), Reason::ImageTooLarge);
    assert!(directory.path().join("a").exists());
}
