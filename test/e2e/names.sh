#!/bin/bash
# DNS for every kind of service, as a pod's own resolver sees it; the API by its names; services whose endpoints are kept by hand; UDP
# clients of an endpoint that goes.
E2E_IMAGES="busybox web"
. "$(dirname "$0")/lib.sh"
start_berth
cat >"$work/all.yaml" <<'Y'
apiVersion: v1
kind: Service
metadata: {name: peers}
spec: {clusterIP: None, selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: early}
spec: {clusterIP: None, publishNotReadyAddresses: true, selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: pool}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}, {name: echo, port: 7, targetPort: 7000, protocol: UDP}]
---
apiVersion: v1
kind: Service
metadata: {name: alias}
spec: {type: ExternalName, externalName: pool.default.svc.cluster.local}
---
apiVersion: v1
kind: Service
metadata: {name: manual}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: sliced}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: primary}
spec: {selector: {statefulset.kubernetes.io/pod-name: web-0}, ports: [{port: 80, targetPort: http}]}
---
Y
web_set peers 2 >>"$work/all.yaml"
check 'apply gives no warning' lacks Warning k apply -f "$work/all.yaml"
check 'two are Ready' within 40 pods_ready app=web 2
pod_ip() { k get pod "$1" -o 'jsonpath={.status.podIP}'; }
pid_of() { local p; for p in $(pgrep -x httpd); do [ "$(nsenter -t "$p" -u hostname)" != "$1" ] || { echo "$p"; return; }; done; return 1; }
# A command of the machine in a pod's network, with the pod's resolv.conf: the C library's resolver asks as it does in the pod.
in_pod() {
    local pid; pid=$(pid_of "$1") || { echo "$1 does not run"; return 1; }; shift
    cat "/proc/$pid/root/etc/resolv.conf" >"$work/pod-resolv.conf"
    nsenter -t "$pid" -n unshare -m bash -c 'mount --bind "$0" /etc/resolv.conf && exec "$@"' "$work/pod-resolv.conf" "$@"
}
cat >"$work/dns.pl" <<'P'
# dns.pl NAME TYPE [udp|tcp]: the reply in short: code, then answers in order of text.
use Socket; my ($name, $type, $by) = @ARGV;
my %type = (A => 1, NS => 2, CNAME => 5, SOA => 6, PTR => 12, TXT => 16, AAAA => 28, SRV => 33);
my $q = pack('n6', 99, 256, 1, 0, 0, 0) . join('', map { chr(length) . $_ } split /\./, $name) . "\0" . pack('nn', $type{$type}, 1);
my $tcp = ($by || '') eq 'tcp'; my $r = '';
socket(my $s, AF_INET, $tcp ? SOCK_STREAM : SOCK_DGRAM, 0); connect($s, pack_sockaddr_in(53, inet_aton('10.43.0.10'))) or die;
$SIG{ALRM} = sub { print "silent\n"; exit 1 }; alarm 3;
if ($tcp) { syswrite $s, pack('n', length $q) . $q; read $s, my $n, 2; read $s, $r, unpack('n', $n) } else { send $s, $q, 0; recv $s, $r, 4096, 0 }
my ($id, $flags, $qd, $an, $ns, $ar) = unpack 'n6', $r; my $at = 12;
sub name { my @l; my $p = shift; my $end; while (1) { my $n = ord substr $r, $p, 1; if ($n >= 192) { $end //= $p + 2; $p = unpack('n', substr $r, $p, 2) & 0x3fff; next }
  if (!$n) { $end //= $p + 1; last } push @l, substr $r, $p + 1, $n; $p += $n + 1 } return (join('.', @l), $end) }
(my $asked, $at) = name($at); $at += 4; my @out;
for (1 .. $an) { (my $o, $at) = name($at); my ($t, $c, $ttl, $n) = unpack 'nnNn', substr $r, $at, 10; $at += 10; my $d = substr $r, $at, $n;
  push @out, $t == 1 ? 'A ' . inet_ntoa($d) : $t == 33 ? 'SRV ' . join(' ', unpack 'n3', $d) . ' ' . (name($at + 6))[0] : $t == 5 || $t == 12 || $t == 2 ? "N " . (name($at))[0] : "T$t"; $at += $n }
print join(' | ', (('NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED')[$flags & 15]) . ($flags & 0x400 ? '' : ' not authoritative') . ($ns ? ' soa' : ''), sort @out), "\n";
print STDERR "asked as $asked\n" if $asked ne $name;
P
dns() { (in_pod web-1 perl "$work/dns.pl" "$@"); }
D=default.svc.cluster.local
pool=$(ip_of pool) ip0=$(pod_ip web-0) ip1=$(pod_ip web-1)
reverse() { local IFS=.; set -- $1; echo "$4.$3.$2.$1.in-addr.arpa"; }
two=$(printf 'A %s\nA %s\n' "$ip0" "$ip1" | sort | paste -sd'|' | sed 's/|/ | /')

check 'A of a service' equal "NOERROR | A $pool" dns "pool.$D" A
check 'the same over TCP' equal "NOERROR | A $pool" dns "pool.$D" A tcp
check 'case does not matter, and is kept' equal "NOERROR | A $pool" dns "POOL.Default.svc.Cluster.Local" A
check 'AAAA of a service: no data' equal 'NOERROR soa' dns "pool.$D" AAAA
check 'SRV of a named port' equal "NOERROR | SRV 0 100 80 pool.$D" dns "_http._tcp.pool.$D" SRV
check 'SRV of a named UDP port' equal "NOERROR | SRV 0 100 7 pool.$D" dns "_echo._udp.pool.$D" SRV
check 'SRV of a port that is not there' equal 'NXDOMAIN soa' dns "_http._udp.pool.$D" SRV
check 'PTR of a service' equal "NOERROR | N pool.$D" dns "$(reverse "$pool")" PTR
check 'A of a headless service: its pods' equal "NOERROR | $two" dns "peers.$D" A
check 'A of a stateful pod' equal "NOERROR | A $ip0" dns "web-0.peers.$D" A
check 'a stateful pod has a name in its own service alone' equal 'NXDOMAIN soa' dns "web-0.early.$D" A
check 'SRV of a headless service: the pods and their port' equal "NOERROR | SRV 0 50 8080 web-0.peers.$D | SRV 0 50 8080 web-1.peers.$D" dns "_http._tcp.peers.$D" SRV
check 'PTR of a stateful pod' contains "N web-0.peers.$D" dns "$(reverse "$ip0")" PTR
check 'A of a pod address' equal 'NOERROR | A 1.2.3.4' dns 1-2-3-4.default.pod.cluster.local A
check 'CNAME of an external name' equal "NOERROR | N pool.$D" dns "alias.$D" CNAME
check 'A of an external name comes with the address' equal "NOERROR | A $pool | N pool.$D" dns "alias.$D" A
check 'SRV of an external name: no data' equal 'NOERROR soa' dns "alias.$D" SRV
check 'below an external name: nothing' equal 'NXDOMAIN soa' dns "x.alias.$D" A
check 'an absent service' equal 'NXDOMAIN soa' dns "absent.$D" A
check 'an absent namespace' equal 'NXDOMAIN soa' dns pool.absent.svc.cluster.local A
check 'a namespace: no data' equal 'NOERROR soa' dns "$D" A
check 'the zone: no data' equal 'NOERROR soa' dns cluster.local A
check 'the zone has a name server' equal 'NOERROR | N ns.dns.cluster.local' dns cluster.local NS
check 'the version of the rules' equal 'NOERROR | T16' dns dns-version.cluster.local TXT
resolves() { contains "$1" in_pod web-1 getent ahostsv4 "$2"; } # ADDRESS NAME
for name in pool pool.default pool.default.svc "pool.$D" alias; do check "the C library finds $name" resolves "$pool" "$name"; done
check 'the C library finds web-0.peers' resolves "$ip0" web-0.peers

k exec web-0 -- rm /tmp/ready
check 'a pod that is not Ready leaves the headless service' within 8 equal "NOERROR | A $ip1" dns "peers.$D" A
check 'and its own name' equal 'NXDOMAIN soa' dns "web-0.peers.$D" A
check 'but stays where such pods are published' equal "NOERROR | $two" dns "early.$D" A
check 'and a service of it alone refuses' fails 'Failed to connect' in_pod web-1 curl -sS --max-time 5 http://primary/
k exec web-0 -- touch /tmp/ready
check 'it comes back' within 8 equal "NOERROR | $two" dns "peers.$D" A

# ---- the API from a pod ----
ca=$data/tls/ca.crt
for name in kubernetes kubernetes.default kubernetes.default.svc "kubernetes.$D" "$(ip_of kubernetes)"; do
    check "the API as $name, its certificate checked" contains gitVersion in_pod web-1 curl -sS --max-time 5 --cacert "$ca" "https://$name/version"
done
verified() { in_pod web-1 openssl s_client -connect "kubernetes.$D:443" -CAfile "$ca" -verify_return_error -verify_hostname kubernetes.default.svc </dev/null; }
check 'openssl verifies it' contains 'Verify return code: 0 (ok)' verified
check 'the kubernetes service has a slice' contains 10.42.0.1 k get endpointslices -l kubernetes.io/service-name=kubernetes

# ---- endpoints kept by hand ----
check 'without endpoints it refuses' fails 'Failed to connect' in_pod web-1 curl -sS --max-time 5 http://manual/
hand() { # NAME IP
    k apply -f - <<Y
apiVersion: v1
kind: Endpoints
metadata: {name: $1}
subsets: [{addresses: [{ip: $2}], ports: [{port: 8080}]}]
Y
}
hand manual "$ip0" >/dev/null 2>&1
fetch() { in_pod web-1 curl -sS --max-time 3 "http://$1/"; }
check 'Endpoints by hand carry traffic' within 5 equal web-0 fetch manual
check 'they are mirrored' contains endpointslicemirroring-controller.k8s.io k get endpointslices -l kubernetes.io/service-name=manual -o yaml
hand manual "$ip1" >/dev/null 2>&1
check 'a change is followed' within 5 equal web-1 fetch manual
k delete endpoints manual >/dev/null 2>&1
refused() { fails 'Failed to connect' fetch "$1"; }
check 'without them it refuses again' within 5 refused manual
slice() { # IP READY
    k apply -f - <<Y
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: sliced-1, labels: {kubernetes.io/service-name: sliced}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [$1], conditions: {ready: $2}}]
Y
}
slice "$ip0" true >/dev/null
check 'an EndpointSlice by hand carries traffic' within 5 equal web-0 fetch sliced
slice "$ip0" false >/dev/null
check 'an endpoint that is not ready does not' within 5 refused sliced

# ---- a UDP client that never falls silent ----
echo_server='socket(S,2,2,0) or die; bind(S,pack_sockaddr_in(7000,INADDR_ANY)) or die; while (my $from=recv(S,$b,99,0)) { send(S,"$ARGV[0]\n",0,$from) }'
for i in 0 1; do (nsenter -t "$(pid_of web-$i)" -n perl -MSocket -e "$echo_server" web-$i) & done
talker='socket(S,2,2,0); connect(S,pack_sockaddr_in(7,inet_aton($ARGV[0]))); $|=1; while (1) { send(S,"x",0); my $r=""; vec($r,fileno(S),1)=1; if (select($r,undef,undef,0.05)) { defined recv(S,$b,99,0) and print $b } select(undef,undef,undef,0.01) }'
(exec perl -MSocket -e "$talker" "$pool") >"$work/talk" &
talker_pid=$!
last() { tail -n 1 "$work/talk"; }
talks() { [ -n "$(last)" ]; }
check 'a UDP client is answered' within 10 talks
with=$(last); [ "$with" = web-0 ] && rest=web-1 || rest=web-0
k exec "$with" -- rm /tmp/ready
check 'it is moved when its endpoint goes, though it never falls silent' within 10 equal "$rest" last
k exec "$rest" -- rm /tmp/ready
ended() { local n; n=$(wc -l <"$work/talk"); sleep 0.3; [ "$n" = "$(wc -l <"$work/talk")" ]; }
check 'without endpoints it gets no answer' within 10 ended
k exec "$with" -- touch /tmp/ready
resumed() { local n; n=$(wc -l <"$work/talk"); sleep 0.3; [ "$n" != "$(wc -l <"$work/talk")" ] && [ "$(last)" = "$with" ]; }
check 'and is answered again when one comes' within 10 resumed
kill $talker_pid; wait $talker_pid 2>/dev/null
finish
