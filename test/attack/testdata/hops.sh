# far -- near -- here: two machines beside this one, in a row. Run in a network
# and mount namespace of its own.
set -eu
cd "$HOME"
mkdir -p -m 700 "$ROLECALL_DIR"
mount -t tmpfs none /run
ip link set lo up
ip netns add near
ip netns add far
ip link add host0 type veth peer name near0 2>/dev/null || { echo CANNOT; exit 0; }
ip link set near0 netns near
ip addr add 10.77.1.1/24 dev host0
ip link set host0 up
ip -n near addr add 10.77.1.2/24 dev near0
ip -n near link set near0 up
ip -n near link add near2 type veth peer name far0
ip -n near link set far0 netns far
ip -n near addr add 10.77.2.1/24 dev near2
ip -n near link set near2 up
ip -n far addr add 10.77.2.2/24 dev far0
ip -n far link set far0 up
ip -n far route add default via 10.77.2.1
ip netns exec near sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
ip route add 10.77.2.0/24 via 10.77.1.2

# ask NAMESPACE: the status of a request for a token, and curl's own code when it is not 0
ask() {
	ip netns exec "$1" curl -m 2 -s -o /dev/null -w '%{http_code}' -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' \
		http://10.77.1.1/latest/api/token || echo " ($?)"
}

# round NAME ARG...: a daemon, asked by both
round() {
	name=$1
	shift
	mkfifo ready
	"$ROLECALL" serve --config config.toml --listen 127.0.0.1:0 --load fake "$@" >ready 2>log &
	daemon=$!
	exec 3<ready
	read -r _ <&3
	near=$(ask near)
	far=$(ask far)
	echo "$name: near $near far $far"
	kill "$daemon"
	wait "$daemon"
	exec 3<&-
	rm ready
}

umask 077
printf 'imds = ["10.77.1.1:80"]\nimds_allow = ["10.77.0.0/16"]\n' >config.toml
round 'limit 1'
round 'limit 2' --imds-hop-limit 2
printf 'imds = ["10.77.1.1:80"]\nimds_allow = ["10.78.0.0/16"]\n' >config.toml
round 'not named'
