use super::*;

fn ended() -> Stage {
    let mut stage = Stage::new();
    stage.spawn(async { Ok(()) });
    stage
}

#[tokio::test]
async fn a_stage_that_ends_because_it_was_asked_to_is_no_early_end() {
    // The order in which a select looks at what is ready is random unless it is told.
    for _ in 0..64 {
        let cancel = CancellationToken::new();
        let (mut line, mut work, mut disk) = (ended(), ended(), ended());
        tokio::task::yield_now().await;
        cancel.cancel();
        let outcome = until_end(&cancel, &mut line, &mut work, &mut disk).await;
        assert!(outcome.is_ok(), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_stage_that_ends_by_itself_is_an_error_that_names_it() {
    let cancel = CancellationToken::new();
    let mut busy = Stage::new();
    busy.spawn(std::future::pending());
    let mut disk = Stage::new();
    disk.spawn(std::future::pending());
    let outcome = until_end(&cancel, &mut busy, &mut ended(), &mut disk).await;
    assert_eq!(
        outcome.expect_err("it ended").to_string(),
        "the work ended by itself"
    );
}
