// @kubernetes/client-node against Berth: typed clients, watch, informer, exec, logs, port-forward, cp, server-side apply. One line a step:
// "pass NAME" or "fail NAME", faults before it, "done" at the end. Run by test/e2e/clients.sh with KUBECONFIG set.
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import * as k8s from '@kubernetes/client-node';

const NS = 'node';
const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);
const objects = k8s.KubernetesObjectApi.makeApiClient(config);

const labels = { app: 'js' };
const selector = 'app=js';
const steps = [];
const step = (name, run) => steps.push([name, run]);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function within(seconds, probe) {
    const end = Date.now() + seconds * 1000;
    for (;;) {
        const value = await probe();
        if (value) return value;
        assert.ok(Date.now() < end, `still ${value} after ${seconds} s: ${probe}`);
        await sleep(100);
    }
}

async function refused(code, call) {
    try {
        await call();
    } catch (e) {
        assert.equal(e.code ?? e.statusCode, code, String(e));
        return JSON.parse(e.body);
    }
    assert.fail(`was accepted, wanted ${code}`);
}

function collector() {
    const stream = new PassThrough();
    stream.text = '';
    stream.on('data', (chunk) => (stream.text += chunk));
    return stream;
}

step('version and discovery', async () => {
    assert.match((await config.makeApiClient(k8s.VersionApi).getCode()).gitVersion, /^v1\./);
    assert.ok((await apps.getAPIResources()).resources.some((r) => r.name === 'statefulsets/scale'));
});

step('create a Namespace, a Service, a ConfigMap', async () => {
    await core.createNamespace({ body: { metadata: { name: NS } } });
    await core.createNamespacedService({ namespace: NS, body: { metadata: { name: 'js' }, spec: { clusterIP: 'None', selector: labels, ports: [{ port: 8080 }] } } });
    const map = await core.createNamespacedConfigMap({ namespace: NS, body: { metadata: { name: 'map' }, data: { a: '1' } } });
    assert.ok(map.metadata.creationTimestamp instanceof Date);
    assert.equal((await refused(409, () => core.createNamespacedConfigMap({ namespace: NS, body: { metadata: { name: 'map' } } }))).reason, 'AlreadyExists');
    assert.equal((await refused(404, () => core.readNamespacedPod({ namespace: NS, name: 'absent' }))).reason, 'NotFound');
});

const informed = { add: new Set(), update: new Set(), delete: new Set(), errors: [] };
let informer;

step('an informer sees the pods of a StatefulSet come', async () => {
    const list = () => core.listNamespacedPod({ namespace: NS, labelSelector: selector });
    informer = k8s.makeInformer(config, `/api/v1/namespaces/${NS}/pods`, list, selector);
    for (const event of ['add', 'update', 'delete']) informer.on(event, (pod) => informed[event].add(pod.metadata.name));
    informer.on('error', (e) => informed.errors.push(String(e)));
    await informer.start();
    await apps.createNamespacedStatefulSet({
        namespace: NS,
        body: {
            metadata: { name: 'js' },
            spec: {
                serviceName: 'js', replicas: 2, selector: { matchLabels: labels },
                template: {
                    metadata: { labels },
                    spec: {
                        terminationGracePeriodSeconds: 1,
                        containers: [{
                            name: 'web', image: 'web:1', ports: [{ containerPort: 8080 }],
                            command: ['sh', '-c', "echo hello from $HOSTNAME; trap 'exit 0' TERM; httpd -f -p 8080 -h /www & wait"],
                        }],
                    },
                },
            },
        },
    });
    const ready = (name) => informer.get(name, NS)?.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True');
    await within(60, () => ready('js-0') && ready('js-1'));
    assert.deepEqual([...informed.add].sort(), ['js-0', 'js-1']);
    assert.equal(informer.list(NS).length, 2);
});

step('patches: strategic merge, merge, JSON, scale', async () => {
    const patch = (body, type) => core.patchNamespacedConfigMap({ namespace: NS, name: 'map', body }, k8s.setHeaderOptions('Content-Type', type));
    assert.deepEqual((await patch({ data: { b: '2' } }, k8s.PatchStrategy.StrategicMergePatch)).data, { a: '1', b: '2' });
    assert.deepEqual((await patch({ data: { b: null } }, k8s.PatchStrategy.MergePatch)).data, { a: '1' });
    assert.deepEqual((await patch([{ op: 'add', path: '/data/c', value: '3' }], k8s.PatchStrategy.JsonPatch)).data, { a: '1', c: '3' });
    const scale = await apps.readNamespacedStatefulSetScale({ namespace: NS, name: 'js' });
    scale.spec.replicas = 1;
    await apps.replaceNamespacedStatefulSetScale({ namespace: NS, name: 'js', body: scale });
});

step('the informer sees a pod go', async () => {
    await within(60, () => informed.delete.has('js-1'));
    assert.ok(informed.update.has('js-0'));
    assert.deepEqual(informed.errors, []);
    await informer.stop();
});

step('watch from a resource version', async () => {
    const version = (await core.listNamespacedConfigMap({ namespace: NS })).metadata.resourceVersion;
    await core.createNamespacedConfigMap({ namespace: NS, body: { metadata: { name: 'later' } } });
    await core.deleteNamespacedConfigMap({ namespace: NS, name: 'later' });
    const seen = [];
    let ended;
    const over = new Promise((done) => (ended = done));
    const request = await new k8s.Watch(config).watch(`/api/v1/namespaces/${NS}/configmaps`, { resourceVersion: version, timeoutSeconds: 20 },
        (type, object) => { seen.push(`${type} ${object.metadata.name}`); if (type === 'DELETED') request.abort(); }, ended);
    await over;
    assert.deepEqual(seen, ['ADDED later', 'DELETED later']);
});

const remote = { namespace: NS, pod: 'js-0', container: 'web' };

step('exec: output, errors, exit code', async () => {
    const out = collector(), err = collector();
    const status = await new Promise((done, fail) =>
        new k8s.Exec(config).exec(remote.namespace, remote.pod, remote.container, ['sh', '-c', 'echo out; echo err >&2; exit 3'], out, err, null, false, done).catch(fail));
    assert.equal(out.text, 'out\n');
    assert.equal(err.text, 'err\n');
    assert.equal(status.reason, 'NonZeroExitCode');
    assert.equal(status.details.causes[0].message, '3');
});

step('exec reads standard input to its end', async () => {
    const out = collector(), input = new PassThrough();
    const sent = 'ahoy\n'.repeat(20000);
    const over = new Promise((done, fail) =>
        new k8s.Exec(config).exec(remote.namespace, remote.pod, remote.container, ['head', '-c', String(sent.length)], out, null, input, false, done).catch(fail));
    input.end(sent);
    assert.equal((await over).status, 'Success');
    assert.equal(out.text, sent);
});

step('logs, following', async () => {
    assert.equal(await core.readNamespacedPodLog({ namespace: NS, name: 'js-0', tailLines: 1 }), 'hello from js-0\n');
    const out = collector();
    const request = await new k8s.Log(config).log(NS, 'js-0', 'web', out, { follow: true });
    await within(20, () => out.text === 'hello from js-0\n');
    request.abort();
});

step('port-forward', async () => {
    const out = collector(), input = new PassThrough();
    const opened = await new k8s.PortForward(config).portForward(NS, 'js-0', [8080], out, null, input);
    input.write('GET / HTTP/1.0\r\n\r\n');
    await within(20, () => /^HTTP\/1\.\d \d/.test(out.text));
    (typeof opened === 'function' ? opened() : opened)?.close();
});

step('cp into the pod', async () => {
    const fs = await import('node:fs');
    const dir = fs.mkdtempSync(`${process.env.HOME}/node.`);
    fs.writeFileSync(`${dir}/file`, 'carried\n');
    await new k8s.Cp(config).cpToPod(NS, 'js-0', 'web', dir, '/tmp');
    await within(20, async () => {
        const out = collector();
        await new Promise((done, fail) => new k8s.Exec(config).exec(NS, 'js-0', 'web', ['cat', '/tmp/file'], out, null, null, false, done).catch(fail));
        return out.text === 'carried\n';
    });
});

step('server-side apply: fields, conflict, force, dry run', async () => {
    const body = (value) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'applied', namespace: NS }, data: { x: value } });
    const apply = (value, manager, force, dryRun) => objects.patch(body(value), undefined, dryRun, manager, force, k8s.PatchStrategy.ServerSideApply);
    const made = await apply('1', 'one');
    assert.equal(made.metadata.managedFields[0].manager, 'one');
    assert.equal(made.metadata.managedFields[0].operation, 'Apply');
    const conflict = await refused(409, () => apply('2', 'two'));
    assert.equal(conflict.details.causes[0].reason, 'FieldManagerConflict');
    assert.equal((await apply('2', 'two', true, 'All')).data.x, '2');
    assert.equal((await objects.read(body())).data.x, '1');
    assert.equal((await apply('2', 'two', true)).data.x, '2');
});

step('any kind by its apiVersion and kind', async () => {
    const set = await objects.read({ apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name: 'js', namespace: NS } });
    assert.equal(set.spec.serviceName, 'js');
    assert.ok((await objects.list('v1', 'Pod', NS)).items.length > 0);
});

step('can-i, a node, its metrics', async () => {
    const may = await config.makeApiClient(k8s.AuthorizationV1Api).createSelfSubjectAccessReview({ body: { spec: { resourceAttributes: { verb: 'get', resource: 'pods' } } } });
    assert.equal(may.status.allowed, true);
    assert.equal((await core.listNode()).items.length, 1);
    const metrics = await new k8s.Metrics(config).getNodeMetrics();
    assert.match(metrics.items[0].usage.memory, /^[1-9]\d*Ki$/);
});

step('delete: a collection, the set with what it owns, the namespace', async () => {
    await core.deleteCollectionNamespacedConfigMap({ namespace: NS });
    await apps.deleteNamespacedStatefulSet({ namespace: NS, name: 'js', body: { propagationPolicy: 'Foreground' } });
    await within(60, async () => (await core.listNamespacedPod({ namespace: NS })).items.length === 0);
    await core.deleteNamespace({ name: NS });
    await within(60, async () => !(await core.listNamespace()).items.some((n) => n.metadata.name === NS));
});

for (const [name, run] of steps) {
    try {
        let timer;
        const late = new Promise((_, fail) => (timer = setTimeout(() => fail(new Error('not done after 100 s')), 100000)));
        await Promise.race([run(), late]);
        clearTimeout(timer);
        console.log(`pass ${name}`);
    } catch (e) {
        console.log(String(e?.stack ?? e).split('\n').slice(0, 14).map((line) => '  ' + line.slice(0, 600)).join('\n'));
        console.log(`fail ${name}`);
    }
}
console.log('done');
process.exit(0);
