use super::*;

#[test]
fn a_wildcard_is_never_advertised() {
    for (wanted, listening, expected) in [
        (None, "0.0.0.0:7443", "127.0.0.1:7443"),
        (None, "[::]:7443", "127.0.0.1:7443"),
        (None, "192.0.2.7:7443", "192.0.2.7:7443"),
        (Some("hub.example:443"), "0.0.0.0:7443", "hub.example:443"),
        (Some("10.99.0.1:0"), "0.0.0.0:40123", "10.99.0.1:40123"),
    ] {
        let listening = listening.parse().expect("an address");
        assert_eq!(advertised(wanted, listening), expected);
    }
}

#[tokio::test]
async fn a_part_that_ends_because_it_was_asked_to_is_no_early_end() {
    // The order in which a select looks at what is ready is random unless it is told.
    for _ in 0..64 {
        let stop = CancellationToken::new();
        let (mut tasks, mut lease) = (JoinSet::new(), JoinSet::new());
        tasks.spawn(async { Ok(()) });
        lease.spawn(async { Ok(()) });
        tokio::task::yield_now().await;
        stop.cancel();
        let ended = until_end(&stop, &mut tasks, &mut lease).await;
        assert!(ended.is_ok(), "{ended:?}");
    }
}

#[tokio::test]
async fn a_part_that_ends_by_itself_is_an_error_that_names_it() {
    let stop = CancellationToken::new();
    let (mut tasks, mut lease) = (JoinSet::new(), JoinSet::new());
    lease.spawn(async { Ok(()) });
    let ended = until_end(&stop, &mut tasks, &mut lease).await;
    assert_eq!(
        ended.expect_err("it ended").to_string(),
        "leading ended early"
    );
}
