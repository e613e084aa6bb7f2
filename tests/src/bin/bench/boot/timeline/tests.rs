use super::*;

fn stamps() -> Stamps {
    let request = |begun, answered, is_reset| Request {
        begun,
        answered,
        is_reset,
    };
    Stamps {
        applied: 100.0,
        stored: 100.5,
        ready: 100.9,
        script: 105.0,
        installer: 110.0,
        network: 111.0,
        disk: 112.5,
        written: 113.0,
        phoned: 125.0,
        running: 125.5,
        requests: vec![
            request(101.0, 101.2, false),
            request(101.4, 102.0, true),
            request(113.5, 113.6, false),
            request(113.8, 114.5, true),
        ],
    }
}

#[test]
fn the_parts_add_up_to_the_whole() {
    let parts = stamps().parts().unwrap();
    let total: f64 = parts.iter().map(|part| part.seconds).sum();
    assert!((total - 25.5).abs() < 1e-6, "{parts:?}");
}

#[test]
fn the_bmcs_time_is_not_ours() {
    let parts = stamps().parts().unwrap();
    assert!((sum(&parts, Whose::Bmc) - 1.6).abs() < 1e-6, "{parts:?}");
    // 0.5 hub, 0.7 agent, 3 installer, 0.7 agent, 0.5 report.
    assert!((sum(&parts, Whose::Ours) - 5.4).abs() < 1e-6, "{parts:?}");
}

#[test]
fn what_did_not_happen_is_named() {
    let mut silent = stamps();
    silent.written = 0.0;
    let error = silent.parts().unwrap_err();
    assert!(error.contains("image written"), "{error}");
    let mut dead = stamps();
    dead.requests.clear();
    assert!(dead.parts().unwrap_err().contains("powered on"));
}

#[test]
fn the_agents_log_and_the_serial_port_are_read() {
    let mut read = Stamps {
        applied: 1_000_000_000.0,
        ..Stamps::default()
    };
    read.read_agent(concat!(
        r#"{"timestamp":"2001-09-09T01:46:39.5Z","message":"intent stored"}"#,
        "\nno JSON\n",
        r#"{"timestamp":"2001-09-09T01:46:41Z","message":"intent stored"}"#,
        "\n",
        r#"{"timestamp":"2001-09-09T01:46:41.5Z","message":"acting","step":"begin-attempt"}"#,
        "\n",
        r#"{"timestamp":"2001-09-09T01:46:41.75Z","message":"acting","step":"open-installer-slot"}"#,
        "\n",
        r#"{"timestamp":"2001-09-09T01:46:42Z","message":"the BMC answered","method":"POST","path":"/redfish/v1/Systems/1/Actions/ComputerSystem.Reset","seconds":0.5}"#,
    ));
    read.read_serial(&[
        (999_999_999.0, "installer: VitiStack 0.1.0".to_owned()),
        (1_000_000_007.0, "installer: VitiStack 0.1.0".to_owned()),
        (
            1_000_000_007.5,
            "installer: address 10.99.0.9/24 on eth0".to_owned(),
        ),
        (1_000_000_008.0, "installer: writing D1-s0".to_owned()),
        (
            1_000_000_009.0,
            "installer: 5 bytes written, verified and synced in 1 s".to_owned(),
        ),
    ]);
    assert_eq!(
        read,
        Stamps {
            applied: 1_000_000_000.0,
            stored: 1_000_000_001.0,
            ready: 1_000_000_001.75,
            installer: 1_000_000_007.0,
            network: 1_000_000_007.5,
            disk: 1_000_000_008.0,
            written: 1_000_000_009.0,
            requests: vec![Request {
                begun: 1_000_000_001.5,
                answered: 1_000_000_002.0,
                is_reset: true,
            }],
            ..Stamps::default()
        }
    );
}
