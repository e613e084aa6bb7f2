#!/bin/bash
# Proves that the hub's container image works from nothing: check-https.sh HUB.tar
#
# The container gets a kubeconfig that names an HTTPS server on loopback with a certificate of its own, and has to fetch
# something from there. It exits 0 once the server saw a request over TLS. Needs openssl, python3 and what
# check-container.sh needs.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
archive=$1
check=$(mktemp -d)
# The hub does not run as root in its container.
chmod 755 "$check"
server="" hub=""
clean() {
    # Each runs in a session of its own, so that its children go too.
    for leader in $hub $server; do kill -- "-$leader" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$check"
}
trap clean EXIT

openssl req -batch -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=127.0.0.1 \
    -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=IP:127.0.0.1 -keyout "$check/key.pem" -out "$check/cert.pem" 2>"$check/openssl" || { cat "$check/openssl" >&2; exit 1; }
cat >"$check/server.py" <<'EOF'
import http.server, os, ssl, sys

directory = sys.argv[1]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open(directory + "/requests", "a") as log:
            log.write(f"{self.connection.version()} {self.path}\n")
        self.send_error(503)

    def log_message(self, *arguments):
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(directory + "/cert.pem", directory + "/key.pem")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
with open(directory + "/port.new", "w") as port:
    port.write(str(server.server_address[1]))
os.rename(directory + "/port.new", directory + "/port")
server.serve_forever()
EOF
setsid python3 "$check/server.py" "$check" &
server=$!
for _ in $(seq 100); do [ -f "$check/port" ] && break; sleep 0.1; done
cat >"$check/kubeconfig" <<EOF
apiVersion: v1
kind: Config
current-context: check
contexts: [{name: check, context: {cluster: check, user: check}}]
clusters: [{name: check, cluster: {server: "https://127.0.0.1:$(cat "$check/port")", certificate-authority-data: $(base64 -w0 "$check/cert.pem")}}]
users: [{name: check, user: {token: none}}]
EOF
chmod 644 "$check/kubeconfig"

CHECK_DIR=$check setsid "$here/check-container.sh" "$archive" run --kubeconfig /check/kubeconfig \
    --listen 127.0.0.1:0 --http 127.0.0.1:0 >"$check/output" 2>&1 &
hub=$!
for _ in $(seq 300); do
    if [ -s "$check/requests" ]; then
        echo "the container fetched over HTTPS: $(head -n 1 "$check/requests")"
        exit 0
    fi
    kill -0 "$hub" 2>/dev/null || break
    sleep 0.2
done
echo "check-https.sh: no request arrived; the container said:" >&2
tail -n 20 "$check/output" >&2
exit 1
