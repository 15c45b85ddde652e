"""What programs that cannot be had here ask of an API server, asked again as their sources say: Argo CD, Flux, k9s and Headlamp. Run by test/e2e/clients.sh with KUBECONFIG set."""

import json
import ssl
import time

import urllib3
import websocket
from kubernetes import client, config
from steps import equal, run_all, step

config.load_kube_config()
conf = client.Configuration.get_default_copy()
http = urllib3.PoolManager(ca_certs=conf.ssl_ca_cert, cert_file=conf.cert_file, key_file=conf.key_file)
MERGE, JSON_PATCH, APPLY = "application/merge-patch+json", "application/json-patch+json", "application/apply-patch+yaml"
MAPS = "/api/v1/namespaces/gitops/configmaps"


def ask(method, path, body=None, status=200, kind="application/json", accept="application/json"):
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    reply = http.request(method, conf.host + path, body=data, headers={"Content-Type": kind, "Accept": accept})
    assert reply.status == status, f"{method} {path}: {reply.status} {reply.data[:500]!r}"
    return reply


def get(path, **more):
    return json.loads(ask("GET", path, **more).data)


def apply(manager, body, path, query="", status=(200, 201)):
    reply = http.request("PATCH", f"{conf.host}{path}?fieldManager={manager}{query}", body=json.dumps(body), headers={"Content-Type": APPLY})
    assert reply.status in status, f"{reply.status} {reply.data[:500]!r}"
    return json.loads(reply.data)


def discovered():
    """Every resource, by aggregated discovery: (path, group, version, kind, namespaced, verbs)."""
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    found = []
    for root in ("/api", "/apis"):
        for group in get(root, accept=accept)["items"]:
            name = group["metadata"].get("name", "")
            for version in group["versions"]:
                base = f"{root}/{name}/{version['version']}" if name else f"{root}/{version['version']}"
                for r in version["resources"]:
                    found.append((f"{base}/{r['resource']}", name, version["version"], r["responseKind"]["kind"], r["scope"] == "Namespaced", r["verbs"]))
    return found


def crd():
    names = {"kind": "Harbour", "plural": "harbours", "singular": "harbour"}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {"depth": {"type": "integer"}}}, "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema, "subresources": {"status": {}}}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "harbours.demo.example"},
            "spec": {"group": "demo.example", "scope": "Namespaced", "names": names, "versions": [version]}}


@step("a namespace and a custom kind")
def _():
    ask("POST", "/api/v1/namespaces", {"metadata": {"name": "gitops"}}, 201)
    ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd(), 201)
    end = time.monotonic() + 20
    while not any(kind == "Harbour" for _, _, _, kind, _, _ in discovered()):
        assert time.monotonic() < end
        time.sleep(0.1)


@step("Argo CD's cache: every kind listed in pages and watched from there")
def _():
    watched = 0
    for path, _, _, kind, _, verbs in discovered():
        if "list" not in verbs or "watch" not in verbs:
            continue
        version, more = "", ""
        while True:
            page = get(f"{path}?limit=2{more}")
            assert page["kind"].endswith("List"), page["kind"]
            version, token = page["metadata"]["resourceVersion"], page["metadata"].get("continue")
            if not token:
                break
            more = "&continue=" + token
        if kind == "Event":
            continue
        told = http.request("GET", f"{conf.host}{path}?watch=1&resourceVersion={version}&allowWatchBookmarks=true&timeoutSeconds=1", preload_content=False)
        equal(told.status, 200)
        told.close()
        watched += 1
    assert watched > 50, watched


@step("Argo CD's parser: every kind has its definition in OpenAPI v2, every reference leads somewhere")
def _():
    document = get("/openapi/v2")
    definitions = document["definitions"]
    kinds = {(k["group"], k["version"], k["kind"]) for d in definitions.values() for k in d.get("x-kubernetes-group-version-kind", [])}
    missing = [(g, v, k) for _, g, v, k, _, verbs in discovered() if "list" in verbs and (g, v, k) not in kinds]
    equal(missing, [])

    def references(value):
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for inner in value.values():
                yield from references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    equal([r for r in set(references(document)) if r.removeprefix("#/definitions/") not in definitions], [])
    binary = ask("GET", "/openapi/v2", accept="application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
    assert binary.headers["Content-Type"].startswith("application/com.github.proto-openapi"), binary.headers["Content-Type"]


@step("Argo CD's difference: a dry run by server-side apply changes nothing and shows what would be")
def _():
    wanted = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app", "namespace": "gitops", "annotations": {"argocd.argoproj.io/tracking-id": "a:/ConfigMap:gitops/app"}}, "data": {"a": "1"}}
    apply("argocd-controller", wanted, f"{MAPS}/app", "&force=true")
    live = get(f"{MAPS}/app")
    wanted["data"] = {"a": "2"}
    would = apply("argocd-controller", wanted, f"{MAPS}/app", "&force=true&dryRun=All&fieldValidation=Strict")
    equal(would["data"], {"a": "2"})
    equal(would["metadata"]["uid"], live["metadata"]["uid"])
    equal(get(f"{MAPS}/app"), live)
    wanted["date"] = {}
    assert "date" in apply("argocd-controller", wanted, f"{MAPS}/app", "&force=true&dryRun=All&fieldValidation=Strict", (400, 422, 500))["message"]


@step("Flux finds and mends drift by dry runs")
def _():
    wanted = {"apiVersion": "demo.example/v1", "kind": "Harbour", "metadata": {"name": "h", "namespace": "gitops", "labels": {"kustomize.toolkit.fluxcd.io/name": "k"}}, "spec": {"depth": 3}}
    path = "/apis/demo.example/v1/namespaces/gitops/harbours/h"
    apply("kustomize-controller", wanted, path, "&force=true&dryRun=All")
    ask("GET", path, status=404)
    made = apply("kustomize-controller", wanted, path, "&force=true")
    same = apply("kustomize-controller", wanted, path, "&force=true&dryRun=All")
    equal(same["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"])
    ask("PATCH", path + "?fieldManager=kubectl-edit", {"spec": {"depth": 9}}, kind=MERGE)
    would = apply("kustomize-controller", wanted, path, "&force=true&dryRun=All")
    equal((would["spec"]["depth"], get(path)["spec"]["depth"]), (3, 9))
    equal(apply("kustomize-controller", wanted, path, "&force=true")["spec"]["depth"], 3)
    ask("PATCH", path + "/status?fieldManager=kustomize-controller", {"status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]}}, kind=MERGE)
    equal(get(path)["status"]["observedGeneration"], 1)


@step("Flux takes the fields of other managers away by a patch of managedFields")
def _():
    ask("POST", MAPS + "?fieldManager=kubectl", {"metadata": {"name": "taken"}, "data": {"a": "1", "old": "x"}}, 201)
    live = get(f"{MAPS}/taken")
    entries = live["metadata"]["managedFields"]
    equal([(e["manager"], e["operation"]) for e in entries], [("kubectl", "Update")])
    entries[0].update(manager="kustomize-controller", operation="Apply")
    patch = [{"op": "replace", "path": "/metadata/managedFields", "value": entries}, {"op": "replace", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]}]
    ask("PATCH", f"{MAPS}/taken?fieldManager=kustomize-controller", patch, kind=JSON_PATCH)
    now = apply("kustomize-controller", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "taken", "namespace": "gitops"}, "data": {"a": "1"}}, f"{MAPS}/taken", "&force=true")
    equal(now["data"], {"a": "1"})
    equal([(e["manager"], e["operation"]) for e in now["metadata"]["managedFields"]], [("kustomize-controller", "Apply")])


@step("k9s: tables of the older version, reviews, what the node uses")
def _():
    for version in ("v1beta1", "v1"):
        table = get(f"{MAPS}?includeObject=Object", accept=f"application/json;as=Table;v={version};g=meta.k8s.io, application/json")
        equal((table["kind"], table["apiVersion"]), ("Table", "meta.k8s.io/" + version))
        equal([c["name"] for c in table["columnDefinitions"]], ["Name", "Data", "Age"])
        equal(table["rows"][0]["object"]["kind"], "ConfigMap")
    for path, group, version, _, _, verbs in discovered():
        if "list" in verbs:
            body = {"spec": {"resourceAttributes": {"verb": "list", "group": group, "version": version, "resource": path.rsplit("/", 1)[1]}}}
            assert json.loads(ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body, 201).data)["status"]["allowed"]
    assert "metrics.k8s.io" in [g["name"] for g in get("/apis")["groups"]]
    assert get("/apis/metrics.k8s.io/v1beta1/nodes")["items"][0]["usage"]["memory"]


@step("Headlamp: watches over WebSockets of several kinds")
def _():
    tls = {"ca_certs": conf.ssl_ca_cert, "certfile": conf.cert_file, "keyfile": conf.key_file, "cert_reqs": ssl.CERT_REQUIRED}
    for path in (MAPS, "/apis/demo.example/v1/namespaces/gitops/harbours", "/apis/apps/v1/statefulsets"):
        version = get(path)["metadata"]["resourceVersion"]
        talk = websocket.create_connection(conf.host.replace("https", "wss") + f"{path}?watch=1&resourceVersion={version}", sslopt=tls, subprotocols=["base64.binary.k8s.io"], timeout=20)
        equal(talk.getsubprotocol(), "base64.binary.k8s.io")
        if path == MAPS:
            ask("PATCH", f"{MAPS}/app", {"data": {"seen": "yes"}}, kind=MERGE)
            event = json.loads(talk.recv())  # as it is: a watch does not encode, whatever the protocol is called
            equal((event["type"], event["object"]["data"]["seen"]), ("MODIFIED", "yes"))
        talk.close()


@step("all goes")
def _():
    ask("DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/harbours.demo.example")
    ask("DELETE", "/api/v1/namespaces/gitops")


run_all()
