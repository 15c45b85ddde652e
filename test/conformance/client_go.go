// client_go: what programs do with client-go 0.32, typed and dynamic, with protobuf bodies: informers with resync (with KUBE_FEATURE_WatchListClient=true
// as one streamed list), watches, pages, patches, server-side apply, discovery, metadata, scale, leader election, exec and port-forward over both
// transports. Needs KUBECONFIG and the image busybox:1.29; built like managed_recorder.go. The exit status is the number of steps that failed.
package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	acappsv1 "k8s.io/client-go/applyconfigurations/apps/v1"
	accorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	acmetav1 "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/retry"
)

var failed int

func step(name string, err error) {
	if err != nil {
		failed++
		fmt.Println("FAIL", name, err)
	} else {
		fmt.Println("ok  ", name)
	}
}

func want(cond bool, f string, a ...interface{}) error {
	if cond {
		return nil
	}
	return fmt.Errorf(f, a...)
}

func until(d time.Duration, f func() bool) error {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if f() {
			return nil
		}
	}
	return fmt.Errorf("not in time")
}

func main() {
	ctx := context.Background()
	cfg, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		panic(err)
	}
	cfg.QPS, cfg.Burst = 1000, 1000
	pb := rest.CopyConfig(cfg)
	pb.ContentType = "application/vnd.kubernetes.protobuf"
	pb.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	c := kubernetes.NewForConfigOrDie(pb)
	const ns = "default"

	// informers, with WatchList when KUBE_FEATURE_WatchListClient=true
	var adds, updates, deletes atomic.Int64
	f := informers.NewSharedInformerFactory(c, 300*time.Millisecond) // with resync
	cms := f.Core().V1().ConfigMaps().Informer()
	cms.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o interface{}) { adds.Add(1) },
		UpdateFunc: func(a, b interface{}) { updates.Add(1) },
		DeleteFunc: func(o interface{}) { deletes.Add(1) }})
	pods := f.Core().V1().Pods()
	pods.Informer()
	f.Apps().V1().StatefulSets().Informer()
	f.Discovery().V1().EndpointSlices().Informer()
	stop := make(chan struct{})
	f.Start(stop)
	synced := true
	for _, ok := range f.WaitForCacheSync(stop) {
		synced = synced && ok
	}
	step("informers sync", want(synced, "not"))

	// typed, protobuf
	w, err := c.CoreV1().ConfigMaps(ns).Watch(ctx, metav1.ListOptions{AllowWatchBookmarks: true})
	step("watch", err)
	base := adds.Load()
	for i := 0; i < 50; i++ {
		_, err = c.CoreV1().ConfigMaps(ns).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "m-", Labels: map[string]string{"n": fmt.Sprint(i % 2)}}, Data: map[string]string{"a": fmt.Sprint(i)}, BinaryData: map[string][]byte{"b": {0, 1, 255}}}, metav1.CreateOptions{})
		if err != nil {
			break
		}
	}
	step("create with protobuf bodies", err)
	step("the informer sees them", until(5*time.Second, func() bool { return adds.Load()-base == 50 }))
	n := 0
	for n < 50 {
		e := <-w.ResultChan()
		if e.Type == watch.Added {
			n++
		}
	}
	w.Stop()
	step("the watch sees them", nil)
	seen, cont := 0, ""
	for {
		l, e := c.CoreV1().ConfigMaps(ns).List(ctx, metav1.ListOptions{Limit: 7, Continue: cont})
		if e != nil {
			err = e
			break
		}
		seen += len(l.Items)
		if cont = l.Continue; cont == "" {
			break
		}
	}
	if err == nil {
		err = want(seen >= 50, "%d", seen)
	}
	step("list by pages", err)
	one, _ := c.CoreV1().ConfigMaps(ns).List(ctx, metav1.ListOptions{LabelSelector: "n=1", Limit: 1})
	cm := one.Items[0]
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		x, e := c.CoreV1().ConfigMaps(ns).Get(ctx, cm.Name, metav1.GetOptions{})
		if e != nil {
			return e
		}
		x.Data["z"] = "1"
		_, e = c.CoreV1().ConfigMaps(ns).Update(ctx, x, metav1.UpdateOptions{})
		return e
	})
	step("update", err)
	_, err = c.CoreV1().ConfigMaps(ns).Update(ctx, &cm, metav1.UpdateOptions{})
	step("a stale update conflicts", want(errors.IsConflict(err), "%v", err))
	for _, t := range []types.PatchType{types.StrategicMergePatchType, types.MergePatchType} {
		_, err = c.CoreV1().ConfigMaps(ns).Patch(ctx, cm.Name, t, []byte(`{"data":{"p":"q"}}`), metav1.PatchOptions{})
		step("patch "+string(t), err)
	}
	step("resync calls updates", until(5*time.Second, func() bool { return updates.Load() > 100 }))

	// server-side apply, typed
	sts := acappsv1.StatefulSet("cg", ns).WithSpec(acappsv1.StatefulSetSpec().WithReplicas(1).WithServiceName("cg").
		WithSelector(acmetav1.LabelSelector().WithMatchLabels(map[string]string{"app": "cg"})).
		WithTemplate(accorev1.PodTemplateSpec().WithLabels(map[string]string{"app": "cg"}).
			WithSpec(accorev1.PodSpec().WithTerminationGracePeriodSeconds(0).WithContainers(accorev1.Container().WithName("c").WithImage("busybox:1.29").
				WithCommand("httpd", "-f", "-p", "8080", "-h", "/etc")))))
	_, err = c.AppsV1().StatefulSets(ns).Apply(ctx, sts, metav1.ApplyOptions{FieldManager: "cg"})
	step("apply a StatefulSet", err)
	_, err = c.AppsV1().StatefulSets(ns).Apply(ctx, acappsv1.StatefulSet("cg", ns).WithSpec(acappsv1.StatefulSetSpec().WithReplicas(3)), metav1.ApplyOptions{FieldManager: "other"})
	step("another manager conflicts", want(errors.IsConflict(err), "%v", err))
	live, err := c.AppsV1().StatefulSets(ns).Get(ctx, "cg", metav1.GetOptions{})
	if err == nil {
		ac, e := acappsv1.ExtractStatefulSet(live, "cg")
		err = e
		if e == nil {
			err = want(ac.Spec != nil && *ac.Spec.Replicas == 1 && len(ac.Spec.Template.Spec.Containers) == 1, "%+v", ac)
		}
	}
	step("what a manager owns is extracted", err)
	step("its pod is ready", until(30*time.Second, func() bool {
		p, e := pods.Lister().Pods(ns).Get("cg-0")
		if e != nil {
			return false
		}
		for _, x := range p.Status.Conditions {
			if x.Type == corev1.PodReady && x.Status == corev1.ConditionTrue {
				return true
			}
		}
		return false
	}))

	// discovery, mapper, dynamic, metadata
	dc := memory.NewMemCacheClient(c.Discovery())
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(dc)
	m, err := mapper.RESTMapping(schema.GroupKind{Group: "apps", Kind: "StatefulSet"})
	step("REST mapping", err)
	dyn := dynamic.NewForConfigOrDie(cfg)
	u, err := dyn.Resource(m.Resource).Namespace(ns).Get(ctx, "cg", metav1.GetOptions{})
	step("dynamic get", err)
	if err == nil {
		unstructured.SetNestedField(u.Object, int64(2), "spec", "replicas")
		_, err = dyn.Resource(m.Resource).Namespace(ns).Update(ctx, u, metav1.UpdateOptions{})
		step("dynamic update", err)
	}
	md := metadata.NewForConfigOrDie(cfg)
	pl, err := md.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace(ns).List(ctx, metav1.ListOptions{})
	if err == nil {
		err = want(len(pl.Items) > 0 && pl.Items[0].Labels["app"] == "cg", "%v", pl.Items)
	}
	step("metadata client", err)
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		sc, e := c.AppsV1().StatefulSets(ns).GetScale(ctx, "cg", metav1.GetOptions{})
		if e != nil {
			return e
		}
		sc.Spec.Replicas = 1
		_, e = c.AppsV1().StatefulSets(ns).UpdateScale(ctx, "cg", sc, metav1.UpdateOptions{})
		return e
	})
	step("scale", err)

	// leader election
	var leads, lost atomic.Int64
	lctx, cancel := context.WithCancel(ctx)
	run := func(id string, ctx context.Context) {
		lock := &resourcelock.LeaseLock{LeaseMeta: metav1.ObjectMeta{Name: "lead", Namespace: ns}, Client: c.CoordinationV1(), LockConfig: resourcelock.ResourceLockConfig{Identity: id}}
		leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{Lock: lock, ReleaseOnCancel: true, LeaseDuration: 3 * time.Second, RenewDeadline: 2 * time.Second, RetryPeriod: 200 * time.Millisecond,
			Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: func(ctx context.Context) { leads.Add(1) }, OnStoppedLeading: func() { lost.Add(1) }}})
	}
	go run("one", lctx)
	step("leader election: one leads", until(5*time.Second, func() bool { return leads.Load() == 1 }))
	l2, cancel2 := context.WithCancel(ctx)
	go run("two", l2)
	time.Sleep(time.Second)
	step("leader election: the other waits", want(leads.Load() == 1, "%d", leads.Load()))
	cancel()
	step("leader election: and takes over", until(5*time.Second, func() bool { return leads.Load() == 2 }))
	cancel2()

	// exec, both transports
	exec := func(ws bool) error {
		req := c.CoreV1().RESTClient().Post().Resource("pods").Name("cg-0").Namespace(ns).SubResource("exec").
			VersionedParams(&corev1.PodExecOptions{Command: []string{"sh", "-c", "cat; echo err >&2; exit 3"}, Stdin: true, Stdout: true, Stderr: true}, scheme.ParameterCodec)
		var e remotecommand.Executor
		var err error
		if ws {
			e, err = remotecommand.NewWebSocketExecutor(cfg, "GET", req.URL().String())
		} else {
			e, err = remotecommand.NewSPDYExecutor(cfg, "POST", req.URL())
		}
		if err != nil {
			return err
		}
		var out, er bytes.Buffer
		err = e.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: strings.NewReader(strings.Repeat("x", 300000)), Stdout: &out, Stderr: &er})
		return want(err != nil && strings.Contains(err.Error(), "exit code 3") && out.Len() == 300000 && er.String() == "err\n", "%v %d %q", err, out.Len(), er.String())
	}
	step("exec over WebSocket", exec(true))
	step("exec over SPDY", exec(false))

	// port-forward, both transports
	forward := func(ws bool) error {
		u := c.CoreV1().RESTClient().Post().Resource("pods").Namespace(ns).Name("cg-0").SubResource("portforward").URL()
		tr, up, err := spdy.RoundTripperFor(cfg)
		if err != nil {
			return err
		}
		d := spdy.NewDialer(up, &http.Client{Transport: tr}, "POST", u)
		if ws {
			if d, err = portforward.NewSPDYOverWebsocketDialer(u, cfg); err != nil {
				return err
			}
		}
		st, ready := make(chan struct{}), make(chan struct{})
		pf, err := portforward.New(d, []string{"0:8080"}, st, ready, nil, os.Stderr)
		if err != nil {
			return err
		}
		done := make(chan error, 1)
		go func() { done <- pf.ForwardPorts() }()
		select {
		case <-ready:
		case err := <-done:
			return err
		}
		defer close(st)
		ports, err := pf.GetPorts()
		if err != nil {
			return err
		}
		for i := 0; i < 5; i++ {
			r, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/passwd", ports[0].Local))
			if err != nil {
				return err
			}
			var b bytes.Buffer
			b.ReadFrom(r.Body)
			r.Body.Close()
			if !strings.Contains(b.String(), "root:") {
				return fmt.Errorf("%q", b.String())
			}
		}
		return nil
	}
	step("port-forward over SPDY", forward(false))
	step("port-forward over WebSocket", forward(true))
	raw, err := c.CoreV1().Pods(ns).GetLogs("cg-0", &corev1.PodLogOptions{}).DoRaw(ctx)
	_ = raw
	step("logs", err)

	// removal
	err = c.CoreV1().ConfigMaps(ns).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "n"})
	step("deletecollection", err)
	step("the informer sees that", until(5*time.Second, func() bool { return deletes.Load() == 50 }))
	fg := metav1.DeletePropagationForeground
	err = c.AppsV1().StatefulSets(ns).Delete(ctx, "cg", metav1.DeleteOptions{PropagationPolicy: &fg})
	step("foreground deletion", err)
	step("set and pods are gone", until(20*time.Second, func() bool {
		_, e := c.AppsV1().StatefulSets(ns).Get(ctx, "cg", metav1.GetOptions{})
		_, e2 := pods.Lister().Pods(ns).Get("cg-0")
		return errors.IsNotFound(e) && errors.IsNotFound(e2)
	}))
	fmt.Println("failed", failed)
	os.Exit(failed)
}
