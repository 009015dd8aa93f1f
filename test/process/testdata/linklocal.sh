# The life of AWS's own addresses on the loopback interface, in a network
# namespace of its own. Prints what it sees; the test knows what that must be.
set -u
cd "$HOME"
ip link set lo up
export ROLECALL_DIR="$HOME/rc"
mkdir -m 700 "$ROLECALL_DIR" other

# serve ARG...: a daemon in the background, until it is ready or has ended
serve() {
	mkfifo ready
	"$ROLECALL" serve --listen 127.0.0.1:0 --load fake --log-format text "$@" >ready 2>log &
	daemon=$!
	exec 3<ready
	read -r first <&3 || first='not ready'
	rm ready
}

# fails ARG...: a daemon that must not start
fails() {
	ROLECALL_DIR="$HOME/other" "$ROLECALL" serve --listen 127.0.0.1:0 --load fake --log-format text "$@" >fails.out 2>fails.log
	echo "exit $?: $(sed -n 's/^rolecall: error: \(.\{40\}\).*/\1/p' fails.log)"
}

addresses() { echo "$(ip -4 addr show dev lo | grep -c 'scope host lo:rolecall') ours, $(ip -4 addr show dev lo | grep 169.254 | grep -vc rolecall) others"; }

ask() { curl -m 5 -s -o /dev/null -w '%{http_code} ' "$@"; }

round() {
	ask http://169.254.170.2/creds
	ask http://169.254.170.2/v1/credentials
	ask http://169.254.170.23/v1/credentials
	ask -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token
	ask http://169.254.169.254/latest/meta-data/
	echo
}

nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }

serve --link-local
addresses
round
export -f round ask
echo "others: $(nobody bash -c round)"
echo "another: $(fails --link-local), $(addresses)"
ip addr add 169.254.1.1/32 dev lo
kill "$daemon"
wait "$daemon"
echo "ended $?: $(addresses)"
ip addr del 169.254.1.1/32 dev lo

serve --link-local
kill -KILL "$daemon"
wait "$daemon" 2>/dev/null
echo "killed: $(addresses)"
serve
echo "after the next start: $(addresses)"
kill "$daemon"
wait "$daemon"

serve --link-local
kill -KILL "$daemon"
wait "$daemon" 2>/dev/null
serve --link-local
echo "taken over: $(addresses)"
round
kill "$daemon"
wait "$daemon"
echo "ended $?: $(addresses)"

ip addr add 169.254.169.254/32 dev lo
echo "somebody else's: $(fails --link-local), $(addresses)"
ip addr del 169.254.169.254/32 dev lo
echo "no right to: $(chown -R 65534 other; ROLECALL_DIR=$HOME/other nobody "$ROLECALL" serve --listen 127.0.0.1:0 --load fake --link-local 2>&1 >/dev/null | sed -n 's/^rolecall: error: \(.\{30\}\).*/\1/p')"
echo "with capabilities: $(
	setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=+net_admin,+net_bind_service --ambient-caps=+net_admin,+net_bind_service \
		env ROLECALL_DIR="$HOME/other" timeout --foreground 2 "$ROLECALL" serve --listen 127.0.0.1:0 --load fake --link-local 2>/dev/null | grep -c 169.254
), $(addresses)"
