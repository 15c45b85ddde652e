#!/bin/bash
# Prometheus of Debian finds what it scrapes through Berth's API (client-go's informers: pods, services, endpoints, endpoint slices, nodes) and scrapes the
# server itself; it follows a set that grows, shrinks and goes, and a server that is killed and comes back. METRICS=victoria: the same with VictoriaMetrics,
# which asks with watches of its own writing.
E2E_IMAGES='busybox'
. "$(dirname "$0")/lib.sh"
start_berth
METRICS=${METRICS:-prometheus}

cat >"$work/set.yaml" <<'Y'
apiVersion: v1
kind: ConfigMap
metadata: {name: page}
data:
  metrics: |
    # TYPE demo_cargo gauge
    demo_cargo 7
---
apiVersion: v1
kind: Service
metadata: {name: ship}
spec: {selector: {app: ship}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: ship}
spec:
  serviceName: ship
  replicas: 2
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: ship}}
  template:
    metadata: {labels: {app: ship}, annotations: {demo/deck: upper}}
    spec:
      terminationGracePeriodSeconds: 0
      volumes: [{name: page, configMap: {name: page}}]
      containers:
      - name: web
        image: busybox:latest
        imagePullPolicy: Never
        command: [httpd, -f, -p, "8080", -h, /www]
        ports: [{name: http, containerPort: 8080}]
        volumeMounts: [{name: page, mountPath: /www}]
Y

{
    cat <<Y
global: {scrape_interval: 1s}
scrape_configs:
- job_name: berth
  scheme: https
  tls_config: {ca_file: $data/tls/ca.crt, cert_file: $data/tls/admin.crt, key_file: $data/tls/admin.key}
  static_configs: [{targets: ['127.0.0.1:6443']}]
Y
    for role in pod endpoints endpointslice service node; do
        echo "- job_name: $role"
        echo "  kubernetes_sd_configs: [{role: $role, kubeconfig_file: $data/kubeconfig}]"
        echo "  relabel_configs:"
        case $role in
        pod) echo "  - {source_labels: [__meta_kubernetes_pod_label_app, __meta_kubernetes_pod_annotation_demo_deck], regex: ship;upper, action: keep}
  - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}" ;;
        endpoints) echo "  - {source_labels: [__meta_kubernetes_service_name, __meta_kubernetes_endpoint_ready], regex: ship;true, action: keep}
  - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}" ;;
        endpointslice) echo "  - {source_labels: [__meta_kubernetes_service_name, __meta_kubernetes_endpointslice_endpoint_conditions_ready], regex: ship;true, action: keep}
  - {source_labels: [__meta_kubernetes_endpointslice_address_target_name], target_label: pod}" ;;
        service) echo "  - {source_labels: [__meta_kubernetes_service_name], regex: ship, action: keep}" ;;
        node) echo "  - {source_labels: [__meta_kubernetes_node_name], target_label: node}" ;;
        esac
    done
} >"$work/prometheus.yml"

k apply -f "$work/set.yaml" >/dev/null
check 'two pods are ready' within 40 pods_ready app=ship 2
scraper() {
    case $METRICS in
    prometheus) exec "$cache/bin/prometheus" --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/prom" --web.listen-address=127.0.0.1:9090 \
        --web.console.templates="$work" --web.console.libraries="$work" ;;
    victoria) exec "$cache/bin/victoria-metrics" -promscrape.config="$work/prometheus.yml" -storageDataPath="$work/prom" -httpListenAddr=127.0.0.1:9090 \
        -search.latencyOffset=1s -promscrape.kubernetesSDCheckInterval=1s -retentionPeriod=1d ;;
    esac
}
scraper >"$work/prometheus.log" 2>&1 &
prometheus_pid=$!

ask() { curl -s --max-time 10 "http://127.0.0.1:9090/api/v1/$1" --get --data-urlencode "${2:-x=}"; }
# pods JOB: the pods of its targets, those that answer.
pods() { ask query "query=up{job=\"$1\"} == 1" | jq -r '[.data.result[].metric.pod] | sort | join(" ")'; }
targets() { ask targets state=active | jq -r "[.data.activeTargets[] | select(.labels.job == \"$1\") | .discoveredLabels.__address__] | join(\" \")"; }
value() { ask query "query=$1" | jq -r '.data.result[0].value[1] // "none"'; }
positive() { local v; v=$(value "$1"); [ "${v%%.*}" -gt 0 ] || { echo "$1 is $v"; return 1; }; }
follows() { # WHEN PODS
    local role
    for role in pod endpoints endpointslice; do check "$1: $role" within 40 equal "$2" pods "$role"; done
}

follows 'it finds and scrapes the pods' 'ship-0 ship-1'
check 'what the pods say is kept' within 20 equal 14 value 'sum(demo_cargo{job="pod"})'
check 'the service is found' within 20 equal ship.default.svc:80 targets service
node_label() { ask targets state=active | jq -r '[.data.activeTargets[] | select(.labels.job == "node") | .labels.node] | join(" ")'; }
check 'the node is found' within 20 equal edge node_label
check "the server's own figures are read" within 20 equal 1 value 'up{job="berth"}'
check 'requests are counted by verb and resource' within 20 positive 'sum(apiserver_request_total{verb="WATCH",resource="pods"})'
check 'their durations make a histogram' within 20 positive 'sum(apiserver_request_duration_seconds_count) > bool 0'
check 'no line of them was refused' equal 0 value 'scrape_samples_scraped{job="berth"} == bool 0'

k scale sts ship --replicas=4 >/dev/null
follows 'a set that grows' 'ship-0 ship-1 ship-2 ship-3'
k scale sts ship --replicas=1 >/dev/null
follows 'a set that shrinks' 'ship-0'

kill -9 "$server_pid"; wait "$server_pid" 2>/dev/null
relaunch 'the server comes back after it was killed'
k scale sts ship --replicas=2 >/dev/null
follows 'after that its watches go on' 'ship-0 ship-1'
k delete sts ship >/dev/null
follows 'a set that goes' ''
complaints() { grep -E 'level=(warn|error)' "$work/prometheus.log" | grep -v 'connection refused\|EOF\|connection reset\|Unable to write\|Error while' || true; }
check 'it had nothing to complain about' equal '' complaints

kill "$prometheus_pid"; wait "$prometheus_pid" 2>/dev/null
finish
