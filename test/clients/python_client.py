"""Debian's python3-kubernetes against Berth: the typed client, its watch and streams, the dynamic client. Run by test/e2e/clients.sh with KUBECONFIG set."""

import base64
import json
import time

from kubernetes import client, config, dynamic, watch
from kubernetes.client.rest import ApiException
from kubernetes.stream import stream
from steps import equal, run_all, step

NS = "python"


def within(seconds, probe):
    end = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        assert time.monotonic() < end, f"still {value!r} after {seconds} s"
        time.sleep(0.1)


def refused(status, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except ApiException as e:
        equal(e.status, status)
        return e
    raise AssertionError(f"was accepted, wanted {status}")


config.load_kube_config()
core = client.CoreV1Api()
apps = client.AppsV1Api()


def labels():
    return {"app": "py"}


def web_set():
    container = client.V1Container(
        name="web",
        image="web:1",
        command=["sh", "-c", "echo hello from $HOSTNAME; trap 'exit 0' TERM; httpd -f -p 8080 -h /www & wait"],
        ports=[client.V1ContainerPort(container_port=8080, name="http")],
    )
    template = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels=labels()),
        spec=client.V1PodSpec(containers=[container], termination_grace_period_seconds=1),
    )
    return client.V1StatefulSet(
        metadata=client.V1ObjectMeta(name="py"),
        spec=client.V1StatefulSetSpec(
            service_name="py", replicas=2, selector=client.V1LabelSelector(match_labels=labels()), template=template
        ),
    )


@step("version and discovery")
def _():
    assert client.VersionApi().get_code().git_version.startswith("v1.")
    assert "apps" in [g.name for g in client.ApisApi().get_api_versions().groups]
    assert "statefulsets/scale" in [r.name for r in apps.get_api_resources().resources]


@step("create a Namespace, a Service, a ConfigMap, a Secret")
def _():
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NS)))
    port = client.V1ServicePort(port=8080, name="http", target_port="http")
    core.create_namespaced_service(
        NS, client.V1Service(metadata=client.V1ObjectMeta(name="py"), spec=client.V1ServiceSpec(cluster_ip="None", selector=labels(), ports=[port]))
    )
    core.create_namespaced_config_map(NS, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="map"), data={"a": "1"}, binary_data={"b": "/w=="}))
    core.create_namespaced_secret(NS, client.V1Secret(metadata=client.V1ObjectMeta(name="word"), string_data={"k": "hush"}))
    equal(base64.b64decode(core.read_namespaced_secret("word", NS).data["k"]), b"hush")
    equal(core.read_namespaced_config_map("map", NS).binary_data, {"b": "/w=="})


@step("create a StatefulSet; watch its pods become Ready")
def _():
    made = apps.create_namespaced_stateful_set(NS, web_set())
    equal(made.spec.pod_management_policy, "OrderedReady")
    ready, seen = set(), []
    for event in watch.Watch().stream(core.list_namespaced_pod, NS, label_selector="app=py", timeout_seconds=60):
        pod = event["object"]
        seen.append(event["type"])
        if any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or []):
            ready.add(pod.metadata.name)
        if len(ready) == 2:
            break
    equal(ready, {"py-0", "py-1"})
    equal(seen[0], "ADDED")
    assert "MODIFIED" in seen


@step("typed lists: selectors, limit and continue, dates")
def _():
    equal([p.metadata.name for p in core.list_namespaced_pod(NS, field_selector="metadata.name=py-1").items], ["py-1"])
    page = core.list_namespaced_pod(NS, limit=1)
    equal([p.metadata.name for p in page.items], ["py-0"])
    page = core.list_namespaced_pod(NS, limit=1, _continue=page.metadata._continue)
    equal([p.metadata.name for p in page.items], ["py-1"])
    assert page.metadata._continue is None
    equal(page.items[0].metadata.creation_timestamp.utcoffset().total_seconds(), 0)
    owner = page.items[0].metadata.owner_references[0]
    equal((owner.kind, owner.name, owner.controller), ("StatefulSet", "py", True))


@step("every typed list of the API groups")
def _():
    done = 0
    for api in (core, apps, client.BatchV1Api(), client.NetworkingV1Api(), client.RbacAuthorizationV1Api(), client.StorageV1Api(), client.PolicyV1Api(),
                client.SchedulingV1Api(), client.CoordinationV1Api(), client.DiscoveryV1Api(), client.EventsV1Api(), client.NodeV1Api(),
                client.AutoscalingV1Api(), client.CertificatesV1Api(), client.AdmissionregistrationV1Api()):
        for name in dir(api):
            everywhere = name.endswith("_for_all_namespaces")
            if not name.startswith("list_") or name.endswith("_with_http_info") or (name.startswith("list_namespaced_") and not everywhere):
                continue
            # Berth has no components to tell of, and this client takes no event whose eventTime is null, which most are.
            if name == "list_component_status" or (name == "list_event_for_all_namespaces" and isinstance(api, client.EventsV1Api)):
                continue
            getattr(api, name)()
            done += 1
    assert done > 35, done


@step("patches: strategic merge, merge, JSON, scale")
def _():
    apps.patch_namespaced_stateful_set("py", NS, {"spec": {"template": {"spec": {"containers": [{"name": "web", "env": [{"name": "A", "value": "1"}]}]}}}})
    got = apps.read_namespaced_stateful_set("py", NS).spec.template.spec.containers[0]
    equal((got.image, got.env[0].value), ("web:1", "1"))
    equal(core.patch_namespaced_config_map("map", NS, {"data": {"c": "3"}}).data, {"a": "1", "c": "3"})
    equal(core.patch_namespaced_config_map("map", NS, [{"op": "remove", "path": "/data/c"}]).data, {"a": "1"})
    equal(apps.patch_namespaced_stateful_set_scale("py", NS, {"spec": {"replicas": 1}}).spec.replicas, 1)
    within(60, lambda: len(core.list_namespaced_pod(NS).items) == 1 and (apps.read_namespaced_stateful_set_status("py", NS).status.ready_replicas == 1))


@step("replace, its conflict and what is refused")
def _():
    m = core.read_namespaced_config_map("map", NS)
    m.data = {"a": "2"}
    core.replace_namespaced_config_map("map", NS, m)
    equal(client.ApiClient().deserialize(type("R", (), {"data": refused(409, core.replace_namespaced_config_map, "map", NS, m).body})(), "V1Status").reason, "Conflict")
    refused(404, core.read_namespaced_pod, "absent", NS)
    refused(409, core.create_namespaced_config_map, NS, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="map")))
    refused(422, core.create_namespaced_config_map, NS, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="No_name")))


@step("a watch resumes at a resource version and ends in time")
def _():
    version = core.list_namespaced_config_map(NS).metadata.resource_version
    core.patch_namespaced_config_map("map", NS, {"data": {"later": "yes"}})
    seen = [e["type"] for e in watch.Watch().stream(core.list_namespaced_config_map, NS, resource_version=version, timeout_seconds=2)]
    assert "MODIFIED" in seen and "ADDED" not in seen, seen


@step("logs: whole, lines, following")
def _():
    within(30, lambda: "hello from py-0" in core.read_namespaced_pod_log("py-0", NS))
    equal(core.read_namespaced_pod_log("py-0", NS, tail_lines=1), "hello from py-0\n")
    followed = watch.Watch()
    for line in followed.stream(core.read_namespaced_pod_log, "py-0", NS):
        equal(line, "hello from py-0")
        followed.stop()
        break


@step("exec over a WebSocket: output, input, exit code")
def _():
    said = stream(core.connect_get_namespaced_pod_exec, "py-0", NS, command=["sh", "-c", "echo out; echo err >&2"], stdout=True, stderr=True, tty=False)
    equal(sorted(said.split("\n")), ["", "err", "out"])
    talk = stream(core.connect_get_namespaced_pod_exec, "py-0", NS, command=["sh"], stdin=True, stdout=True, stderr=True, _preload_content=False)
    talk.write_stdin("echo $((6*7))\n")
    equal(talk.readline_stdout(timeout=20), "42")
    talk.write_stdin("exit 3\n")
    talk.run_forever(timeout=20)
    equal(talk.returncode, 3)
    talk.close()
    # A client that hangs up: what it wrote is read to its end, as Ansible's k8s_cp counts on.
    talk = stream(core.connect_get_namespaced_pod_exec, "py-0", NS, command=["sh", "-c", "cat >/tmp/left; echo end >>/tmp/left"], stdin=True, stdout=True, tty=False, _preload_content=False)
    talk.write_stdin("x" * 100000)
    talk.close()
    size = ["sh", "-c", "wc -c </tmp/left"]
    within(20, lambda: stream(core.connect_get_namespaced_pod_exec, "py-0", NS, command=size, stdout=True).strip() == "100004")


@step("port-forward over a WebSocket")
def _():
    from kubernetes.stream import portforward

    forward = portforward(core.connect_get_namespaced_pod_portforward, "py-0", NS, ports="8080")
    http = forward.socket(8080)
    http.setblocking(True)
    http.settimeout(20)
    http.sendall(b"GET / HTTP/1.0\r\n\r\n")
    assert http.recv(64).startswith(b"HTTP/1."), forward.error(8080)


@step("reviews answer")
def _():
    review = client.V1SelfSubjectAccessReview(
        spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=client.V1ResourceAttributes(verb="create", resource="pods", namespace=NS))
    )
    assert client.AuthorizationV1Api().create_self_subject_access_review(review).status.allowed


@step("the dynamic client: discovery, create, get, list, patch, delete")
def _():
    maps = dyn.resources.get(api_version="v1", kind="ConfigMap")
    made = maps.create(body={"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "dyn", "labels": {"d": "y"}}, "data": {"x": "1"}}, namespace=NS)
    equal(made.data.x, "1")
    equal([m.metadata.name for m in maps.get(namespace=NS, label_selector="d=y").items], ["dyn"])
    maps.patch(name="dyn", namespace=NS, body={"data": {"x": "2"}}, content_type="application/merge-patch+json")
    equal(maps.get(name="dyn", namespace=NS).data.x, "2")
    sets = dyn.resources.get(api_version="apps/v1", kind="StatefulSet")
    equal(sets.subresources["scale"].get(name="py", namespace=NS).spec.replicas, 1)
    assert "StatefulSet" in [r.kind for r in dyn.resources.search(short_names=["sts"])]
    equal(maps.delete(name="dyn", namespace=NS).status, "Success")


@step("the dynamic client: server-side apply, its conflict and force")
def _():
    maps = dyn.resources.get(api_version="v1", kind="ConfigMap")

    def apply(value, manager, **more):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"x": value}}
        # As text: this client's transport takes no other form with the content type of apply.
        return maps.server_side_apply(body=json.dumps(body), name="applied", namespace=NS, field_manager=manager, **more)

    equal(apply("1", "one").metadata.managedFields[0].manager, "one")
    assert "conflict with" in refused(409, apply, "2", "two").body.decode()
    equal(apply("2", "two", force_conflicts=True).data.x, "2")


@step("the dynamic client: watch")
def _():
    maps = dyn.resources.get(api_version="v1", kind="ConfigMap")
    seen = {e["object"].metadata.name for e in maps.watch(namespace=NS, timeout=2)}
    assert {"map", "applied"} <= seen, seen


@step("delete: one, a collection, the set with what it owns, the namespace")
def _():
    core.delete_namespaced_service("py", NS)
    equal(core.delete_collection_namespaced_config_map(NS, label_selector="!keep").kind is not None, True)
    within(10, lambda: not [m for m in core.list_namespaced_config_map(NS).items if m.metadata.name != "kube-root-ca.crt"])
    apps.delete_namespaced_stateful_set("py", NS, body=client.V1DeleteOptions(propagation_policy="Foreground"))
    within(60, lambda: not core.list_namespaced_pod(NS).items and not apps.list_namespaced_stateful_set(NS).items)
    core.delete_namespace(NS)
    within(60, lambda: NS not in [n.metadata.name for n in core.list_namespace().items])


dyn = dynamic.DynamicClient(client.ApiClient())
run_all()
