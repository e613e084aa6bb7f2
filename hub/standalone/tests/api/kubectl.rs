//! The real kubectl. It must be on the path: without it the promise is untested, so its absence
//! fails.

use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::support::{PATIENCE, Running};

struct Kubectl<'a> {
    server: &'a Running,
    home: tempfile::TempDir,
}

impl<'a> Kubectl<'a> {
    fn new(server: &'a Running) -> Self {
        Self {
            server,
            home: tempfile::tempdir().unwrap(),
        }
    }

    async fn run(&self, arguments: &str, input: &str) -> Output {
        let mut child = Command::new("kubectl")
            .args(arguments.split_whitespace())
            .env("KUBECONFIG", &self.server.kubeconfig)
            .env("HOME", self.home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("kubectl is needed for this test: install it and put it on the PATH");
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let output = tokio::time::timeout(PATIENCE * 2, child.wait_with_output()).await;
        output
            .unwrap_or_else(|_| panic!("kubectl {arguments} did not end"))
            .unwrap()
    }

    /// What a command that succeeds prints.
    async fn ok(&self, arguments: &str) -> String {
        self.ok_with(arguments, "").await
    }

    async fn ok_with(&self, arguments: &str, input: &str) -> String {
        let output = self.run(arguments, input).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {arguments}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command that fails says.
    async fn fails(&self, arguments: &str, input: &str) -> String {
        let output = self.run(arguments, input).await;
        assert!(!output.status.success(), "kubectl {arguments} succeeded");
        String::from_utf8(output.stderr).unwrap()
    }
}

const WIDGET: &str = "
apiVersion: test.vitistack.io/v1
kind: Widget
metadata:
  name: one
  namespace: shop
  labels: {app: demo}
spec:
  size: 2
  parts:
  - name: wheel
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_applies_looks_waits_and_deletes() {
    let server = Running::start().await;
    let kubectl = Kubectl::new(&server);
    kubectl.ok("create namespace shop").await;
    assert_eq!(
        kubectl.ok_with("apply -f -", WIDGET).await.trim(),
        "widget.test.vitistack.io/one created"
    );
    assert!(
        kubectl
            .ok_with("apply -f -", WIDGET)
            .await
            .contains("unchanged")
    );
    let larger = WIDGET.replace("size: 2", "size: 3");
    assert!(kubectl.ok_with("diff -f -", WIDGET).await.is_empty());
    assert!(
        kubectl
            .ok_with("apply -f -", &larger)
            .await
            .contains("configured")
    );

    let wide = kubectl.ok("get wd -n shop -o wide").await;
    let lines: Vec<Vec<&str>> = wide
        .lines()
        .map(|l| l.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0], ["NAME", "SIZE", "PHASE", "COLOR", "AGE"]);
    assert_eq!(lines[1][..3], ["one", "3", "red"], "the phase is empty");
    let narrow = kubectl
        .ok("get widgets.test.vitistack.io -A -l app=demo")
        .await;
    assert!(
        !narrow.contains("COLOR") && narrow.contains("shop"),
        "{narrow}"
    );
    assert!(kubectl.ok("get all -n shop").await.contains("one "));

    let explained = kubectl.ok("explain widget.spec").await;
    assert!(
        explained.contains("What is wanted.") && explained.contains("How large."),
        "{explained}"
    );
    assert!(
        kubectl
            .ok("explain machine.spec.os --recursive")
            .await
            .contains("imageDigest")
    );
    assert!(kubectl.ok("explain secret.data").await.contains("base64"));

    kubectl.ok("label wd one -n shop more=yes").await;
    kubectl.ok("annotate wd one -n shop note=kept").await;
    kubectl
        .ok("patch wd one -n shop --type=merge -p {\"spec\":{\"size\":4}}")
        .await;
    let status = "patch wd one -n shop --subresource=status --type=merge -p \
                  {\"status\":{\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}";
    kubectl.ok(status).await;
    kubectl
        .ok("wait --for=condition=Ready wd/one -n shop --timeout=10s")
        .await;
    kubectl
        .ok("wait --for=jsonpath={.status.phase}=Running wd/one -n shop --timeout=10s")
        .await;
    let described = kubectl.ok("describe wd one -n shop").await;
    for words in ["note: kept", "Size:", "Running", "Events:"] {
        assert!(described.contains(words), "{words} in {described}");
    }
    kubectl.ok("delete wd one -n shop").await;
    assert!(
        kubectl
            .fails("get wd one -n shop", "")
            .await
            .contains("NotFound")
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_typing_error_is_refused_with_its_path() {
    let server = Running::start().await;
    let kubectl = Kubectl::new(&server);
    let wrong = WIDGET.replace("shop", "default").replace("parts", "patrs");
    let message = kubectl.fails("apply -f -", &wrong).await;
    assert!(
        message.contains("unknown field \"spec.patrs\""),
        "{message}"
    );
    let output = kubectl.run("apply --validate=warn -f -", &wrong).await;
    assert!(output.status.success());
    let warning = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        warning.contains("unknown field \"spec.patrs\""),
        "{warning}"
    );
    let invalid = WIDGET
        .replace("shop", "default")
        .replace("size: 2", "size: 0");
    let message = kubectl.fails("create -f -", &invalid).await;
    assert!(message.contains("spec.size"), "{message}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_and_config_maps_are_made_and_edited() {
    let server = Running::start().await;
    let kubectl = Kubectl::new(&server);
    kubectl
        .ok("create secret generic bmc --from-literal=username=admin --from-literal=password=x")
        .await;
    kubectl
        .ok("create configmap settings --from-literal=a=b")
        .await;
    kubectl
        .ok("patch secret bmc -p {\"stringData\":{\"password\":\"y\"}}")
        .await;
    let password = kubectl
        .ok("get secret bmc -o jsonpath={.data.password}")
        .await;
    assert_eq!(password, "eQ==");
    let described = kubectl.ok("describe secret bmc").await;
    assert!(described.contains("username:  5 bytes"), "{described}");
    let applied = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\ndata: {a: b, c: d}\n";
    kubectl.ok_with("apply -f -", applied).await;
    kubectl
        .ok_with("apply -f -", &applied.replace(", c: d", ""))
        .await;
    assert_eq!(
        kubectl.ok("get cm other -o jsonpath={.data}").await,
        "{\"a\":\"b\"}"
    );
    let edited = Command::new("kubectl")
        .args(["edit", "configmap", "settings"])
        .env("KUBECONFIG", &server.kubeconfig)
        .env("HOME", kubectl.home.path())
        .env("KUBE_EDITOR", "sed -i s/a:.b/a:\\ changed/")
        .output()
        .await
        .unwrap();
    assert!(
        edited.status.success(),
        "{}",
        String::from_utf8_lossy(&edited.stderr)
    );
    assert_eq!(
        kubectl.ok("get cm settings -o jsonpath={.data.a}").await,
        "changed"
    );
    assert_eq!(kubectl.ok("auth can-i create machines").await.trim(), "yes");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deletions_wait_for_finalizers_and_namespaces() {
    let server = Running::start().await;
    let kubectl = Kubectl::new(&server);
    kubectl.ok("create namespace shop").await;
    let held = WIDGET.replace(
        "  labels:",
        "  finalizers: [test.vitistack.io/hold]\n  labels:",
    );
    kubectl.ok_with("apply -f -", &held).await;
    kubectl.ok("delete ns shop --wait=false").await;
    let message = kubectl.fails("create configmap late -n shop", "").await;
    assert!(
        message.contains("because it is being terminated"),
        "{message}"
    );
    let message = kubectl
        .fails("wait --for=delete wd/one -n shop --timeout=1s", "")
        .await;
    assert!(message.contains("timed out"), "{message}");
    let (waited, released) = tokio::join!(
        kubectl.ok("wait --for=delete ns/shop --timeout=20s"),
        kubectl.ok("patch wd one -n shop --type=merge -p {\"metadata\":{\"finalizers\":null}}"),
    );
    assert!(released.contains("patched"), "{waited}{released}");
    let message = kubectl.fails("get ns shop", "").await;
    assert!(message.contains("NotFound"), "{message}");
    assert!(
        kubectl
            .fails("delete ns default", "")
            .await
            .contains("may not be deleted")
    );
    server.stop().await;
}
