// managed_recorder: what Kubernetes' own field manager makes of random sequences of applies and updates by several managers, as the lines that
// test/unit/managed_recorded_test.c replays. Built against Debian 13's golang-k8s-client-go-dev (apimachinery and client-go 0.32) with its Go 1.24:
//
//	cp managed_recorder.go GOPATH/src/k8s.io/client-go/applyconfigurations/recorder/    (the types' schema is internal to that package)
//	GO111MODULE=off go run k8s.io/client-go/applyconfigurations/recorder -count 200 >recording
//	BERTH_RECORDING=recording build/release/test/unit/managed_recorded_test
//
// Objects are decoded to Go's types after each step, as the server stores them. What Go writes although nobody set it is left out of the recording.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"reflect"
	"sort"
	"strings"
	"time"

	autoscaling "k8s.io/api/autoscaling/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	rtschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/applyconfigurations/internal"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/kube-openapi/pkg/schemaconv"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/structured-merge-diff/v4/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v4/schema"
)

type conv struct{}

func (conv) Convert(in, out, context interface{}) error { return fmt.Errorf("no") }

// As of a custom kind with the conversion None.
func (conv) ConvertToVersion(in runtime.Object, to runtime.GroupVersioner) (runtime.Object, error) {
	u, ok := in.(*unstructured.Unstructured)
	gv, versioned := to.(rtschema.GroupVersion)
	if ok && versioned && gv.Group == "example.com" {
		u = u.DeepCopy()
		u.SetAPIVersion(gv.String())
		return u, nil
	}
	if gvk := in.GetObjectKind().GroupVersionKind(); versioned && gv != gvk.GroupVersion() {
		return nil, runtime.NewNotRegisteredErrForKind("types of client-go", gv.WithKind(gvk.Kind))
	}
	return in, nil
}
func (conv) ConvertFieldLabel(_ rtschema.GroupVersionKind, _, _ string) (string, string, error) {
	return "", "", fmt.Errorf("no")
}
func (conv) Default(in runtime.Object) {}

type create struct{ crd bool }

func (c create) New(gvk rtschema.GroupVersionKind) (runtime.Object, error) {
	return newObj(gvk, c.crd), nil
}

func newObj(gvk rtschema.GroupVersionKind, crd bool) runtime.Object {
	if crd {
		u := &unstructured.Unstructured{Object: map[string]interface{}{}}
		u.SetGroupVersionKind(gvk)
		return u
	}
	o, err := scheme.Scheme.New(gvk)
	must(err)
	o.GetObjectKind().SetGroupVersionKind(gvk)
	return o
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

type M = map[string]interface{}

var rng *rand.Rand

func chance(p float64) bool { return rng.Float64() < p }

// ---- random values by a schema of structured-merge-diff ----

type gen struct {
	s     *schema.Schema
	allow map[string][]schema.StructField
	empty float64 // zero values and empty containers
	wrong float64 // values of another type, and elements of one name
	crd   bool
}

func (g *gen) fields(path string, m *schema.Map) []schema.StructField {
	if f, ok := g.allow[path]; ok {
		return f
	}
	all := []schema.StructField{}
	for _, f := range m.Fields {
		switch {
		case path == "" && (f.Name == "apiVersion" || f.Name == "kind"):
		case path == ".metadata" && !(f.Name == "labels" || f.Name == "annotations" || f.Name == "finalizers" || f.Name == "ownerReferences"):
		case f.Name == "fieldsV1", f.Name == "raw", f.Name == "caBundle", f.Name == "object", f.Name == "volumeClaimTemplates":
		default:
			all = append(all, f)
		}
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	n := 1 + rng.Intn(4)
	if path == "" {
		n = len(all)
	}
	// what is merged is what matters
	sort.SliceStable(all, func(i, j int) bool { return g.weight(all[i].Type) > g.weight(all[j].Type) })
	if len(all) > n {
		pick := []schema.StructField{}
		for _, f := range all {
			if len(pick) < n && (chance(float64(n)/float64(len(all))) || (g.weight(f.Type) > 1 && chance(0.5))) {
				pick = append(pick, f)
			}
		}
		if len(pick) == 0 {
			pick = all[:1]
		}
		all = pick
	}
	g.allow[path] = all
	return all
}

func (g *gen) weight(t schema.TypeRef) int {
	a, _ := g.s.Resolve(t)
	if a.List != nil && a.List.ElementRelationship == schema.Associative {
		return 3
	}
	if a.Map != nil && a.Map.ElementRelationship != schema.Atomic {
		return 2
	}
	return 1
}

var words = []string{"a", "b", "c", "d"}

func (g *gen) scalar(t schema.TypeRef, a schema.Atom, path string) interface{} {
	named := ""
	if t.NamedType != nil {
		named = *t.NamedType
	}
	switch {
	case strings.HasSuffix(named, "Quantity"):
		return []interface{}{"1", "2", "3"}[rng.Intn(3)]
	case strings.HasSuffix(named, "MicroTime"):
		return []interface{}{"2020-01-01T00:00:00.000000Z", "2021-01-01T00:00:00.000000Z"}[rng.Intn(2)]
	case strings.HasSuffix(named, "Time"):
		return []interface{}{"2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z"}[rng.Intn(2)]
	case strings.HasSuffix(named, "IntOrString"):
		return []interface{}{int64(1), "x", "y"}[rng.Intn(3)]
	}
	switch *a.Scalar {
	case schema.Numeric:
		if chance(g.empty) {
			return int64(0)
		}
		return int64(1 + rng.Intn(3))
	case schema.Boolean:
		if chance(g.empty) {
			return false
		}
		return true
	case schema.String:
		if chance(g.empty) {
			return ""
		}
		if strings.HasSuffix(path, ".protocol") {
			return []interface{}{"TCP", "UDP"}[rng.Intn(2)]
		}
		if strings.HasSuffix(path, ".data[]") || strings.HasSuffix(path, ".binaryData[]") {
			return []interface{}{"YQ==", "Yg=="}[rng.Intn(2)]
		}
		return words[rng.Intn(3)]
	}
	return []interface{}{int64(1), "x", true}[rng.Intn(3)]
}

func (g *gen) resolve(t schema.TypeRef) schema.Atom {
	a, ok := g.s.Resolve(t)
	if !ok {
		panic(fmt.Sprintf("%v", t))
	}
	return a
}

// deduced: a value of no known type
func (g *gen) loose(depth int) interface{} {
	switch n := rng.Intn(6); {
	case n == 0 && depth > 0:
		m := M{}
		for i := 0; i < 2; i++ {
			m[words[rng.Intn(3)]] = g.loose(depth - 1)
		}
		return m
	case n == 1 && depth > 0:
		return []interface{}{g.loose(0), g.loose(0)}
	case n == 2:
		return int64(rng.Intn(3))
	case n == 3:
		return true
	}
	return words[rng.Intn(3)]
}

var mistaken = []interface{}{nil, true, int64(7), 1.5, "w", M{}, M{"a": int64(1), "b": []interface{}{"x", nil, false}}, []interface{}{}, []interface{}{int64(1), M{"a": "q\"<"}}}

func (g *gen) value(t schema.TypeRef, path string, depth int) interface{} {
	a := g.resolve(t)
	if path != "" && path != ".metadata" && g.wrong > 0 && chance(g.wrong) {
		return clone(mistaken[rng.Intn(len(mistaken))])
	}
	if g.crd && path != "" && !strings.HasPrefix(path, ".metadata") && g.empty > 0 && chance(g.empty/3) {
		switch {
		case chance(0.3):
			return nil
		case a.Map != nil:
			return M{}
		case a.List != nil:
			return []interface{}{}
		}
	}
	if strings.HasSuffix(path, ".ios") {
		return []interface{}{int64(1), "x", "y"}[rng.Intn(3)]
	}
	if a.Scalar != nil && a.List != nil && a.Map != nil {
		return g.loose(2)
	}
	if a.Map != nil {
		m := M{}
		if (a.Map.ElementType.NamedType != nil || a.Map.ElementType.Inlined != schema.Atom{}) && (len(a.Map.Fields) == 0 || chance(0.5)) {
			for i := 0; i < 1+rng.Intn(3); i++ {
				m[words[rng.Intn(3)]] = g.value(a.Map.ElementType, path+"[]", depth-1)
			}
		}
		for _, f := range g.fields(path, a.Map) {
			if chance(0.65) && depth > 0 {
				m[f.Name] = g.value(f.Type, path+"."+f.Name, depth-1)
			}
		}
		for _, f := range a.Map.Fields {
			if required(f) && m[f.Name] == nil {
				m[f.Name] = g.value(f.Type, path+"."+f.Name, 1)
			}
		}
		return m
	}
	if a.List != nil {
		return g.list(a.List, path, depth, 1+rng.Intn(3), nil)
	}
	return g.scalar(t, a, path)
}

// Go writes it always.
func required(f schema.StructField) bool {
	if f.Name == "divisor" || f.Name == "port" {
		return true
	}
	return f.Default == "" || f.Default == 0 || f.Default == int64(0) || f.Default == 0.0 || f.Default == false
}

func (g *gen) keyOf(l *schema.List, v interface{}) string {
	if len(l.Keys) == 0 {
		return fmt.Sprint(v)
	}
	m, _ := v.(M)
	out := ""
	for _, k := range l.Keys {
		x := m[k]
		if x == nil {
			e := g.resolve(l.ElementType)
			if f, ok := e.Map.FindField(k); ok {
				x = f.Default
			}
		}
		out += fmt.Sprintf("%v/", x)
	}
	return out
}

func (g *gen) list(l *schema.List, path string, depth, n int, have []interface{}) []interface{} {
	seen := map[string]bool{}
	out := []interface{}{}
	for _, v := range have {
		seen[g.keyOf(l, v)] = true
		out = append(out, v)
	}
	for i := 0; i < n; i++ {
		v := g.value(l.ElementType, path+"[]", depth-1)
		if l.ElementRelationship == schema.Associative {
			if m, ok := v.(M); ok {
				e := g.resolve(l.ElementType)
				for _, k := range l.Keys {
					f, _ := e.Map.FindField(k)
					if m[k] == nil && (f.Default == nil || chance(0.6)) {
						m[k] = g.value(f.Type, path+"[]."+k, 1)
					}
				}
			}
			k := g.keyOf(l, v)
			if seen[k] && !(g.wrong > 0 && chance(0.3)) {
				continue
			}
			seen[k] = true
		}
		out = append(out, v)
	}
	if l.ElementRelationship == schema.Associative && chance(0.3) {
		rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	}
	return out
}

// mutate changes a value here and there.
func (g *gen) mutate(v interface{}, t schema.TypeRef, path string, depth int, p float64) interface{} {
	a := g.resolve(t)
	if strings.HasSuffix(path, ".ios") {
		return g.value(t, path, depth)
	}
	if a.Scalar != nil && a.List != nil && a.Map != nil {
		if m, ok := v.(M); ok && chance(0.6) {
			m[words[rng.Intn(3)]] = g.loose(1)
			return m
		}
		return g.loose(2)
	}
	if a.Map != nil {
		m, ok := v.(M)
		if !ok || (a.Map.ElementRelationship == schema.Atomic && chance(0.5)) {
			return g.value(t, path, depth)
		}
		for _, f := range g.fields(path, a.Map) {
			old, has := m[f.Name]
			sub := path + "." + f.Name
			switch {
			case !chance(p):
			case has && chance(0.2) && !required(f):
				delete(m, f.Name)
			case has:
				m[f.Name] = g.mutate(old, f.Type, sub, depth-1, p)
			case depth > 0 && chance(0.6):
				m[f.Name] = g.value(f.Type, sub, depth-1)
			}
		}
		if a.Map.ElementType.NamedType != nil || (a.Map.ElementType.Inlined != schema.Atom{}) {
			k := words[rng.Intn(3)]
			if _, has := m[k]; has && chance(0.4) {
				delete(m, k)
			} else if chance(p) {
				m[k] = g.value(a.Map.ElementType, path+"[]", depth-1)
			}
		}
		return m
	}
	if a.List != nil {
		l, ok := v.([]interface{})
		if !ok || a.List.ElementRelationship == schema.Atomic {
			return g.value(t, path, depth)
		}
		out := []interface{}{}
		for _, e := range l {
			if chance(0.2) {
				continue
			}
			if m, ok := e.(M); ok && chance(p) {
				keep := M{}
				for _, k := range a.List.Keys {
					if x, has := m[k]; has {
						keep[k] = x
					}
				}
				n, ok := g.mutate(m, a.List.ElementType, path+"[]", depth-1, p).(M)
				if !ok {
					continue
				}
				for _, k := range a.List.Keys {
					delete(n, k)
				}
				for k, x := range keep {
					n[k] = x
				}
				e = n
			}
			out = append(out, e)
		}
		out = g.list(a.List, path, depth, rng.Intn(2), out)
		if len(out) == 0 {
			out = g.list(a.List, path, depth, 1, nil)
		}
		return out
	}
	return g.scalar(t, a, path)
}

func clone(v interface{}) interface{} {
	switch x := v.(type) {
	case M:
		m := M{}
		for k, e := range x {
			m[k] = clone(e)
		}
		return m
	case []interface{}:
		l := make([]interface{}, len(x))
		for i, e := range x {
			l[i] = clone(e)
		}
		return l
	}
	return v
}

// ---- what Go writes although nobody set it is left out ----

func minimal(v reflect.Value) interface{} {
	if v.CanInterface() {
		if _, ok := v.Interface().(json.Marshaler); ok {
			b, err := json.Marshal(v.Interface())
			must(err)
			var out interface{}
			d := json.NewDecoder(strings.NewReader(string(b)))
			d.UseNumber()
			must(d.Decode(&out))
			return out
		}
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return minimal(v.Elem())
	case reflect.Struct:
		m := M{}
		for i := 0; i < v.NumField(); i++ {
			tag := strings.Split(v.Type().Field(i).Tag.Get("json"), ",")
			f := v.Field(i)
			if tag[0] == "-" {
				continue
			}
			if tag[0] == "" { // inline
				if sub, ok := minimal(f).(M); ok {
					for k, x := range sub {
						m[k] = x
					}
				}
				continue
			}
			_, plain := f.Interface().(json.Marshaler)
			isStruct := f.Kind() == reflect.Struct && !plain // is written, if only as {}
			if !isStruct && (f.IsZero() || ((f.Kind() == reflect.Slice || f.Kind() == reflect.Map) && f.Len() == 0)) {
				continue
			}
			m[tag[0]] = minimal(f)
		}
		return m
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			b, _ := json.Marshal(v.Interface())
			var s string
			must(json.Unmarshal(b, &s))
			return s
		}
		l := []interface{}{}
		for i := 0; i < v.Len(); i++ {
			l = append(l, minimal(v.Index(i)))
		}
		return l
	case reflect.Map:
		m := M{}
		for _, k := range v.MapKeys() {
			m[k.String()] = minimal(v.MapIndex(k))
		}
		return m
	}
	return v.Interface()
}

// ---- one subject ----

type subject struct {
	Api  string `json:"apiVersion"`
	Kind string `json:"kind"`
	crd  bool
	Docs M `json:"schemas,omitempty"` // of a custom kind, by version
	gvk  rtschema.GroupVersionKind
	tc   managedfields.TypeConverter
	s    *schema.Schema
	root string
	more []string // versions beside the first
}

func (s *subject) manager(sub, version string) *managedfields.FieldManager {
	gvk := s.gvk
	if version != "" {
		gvk.Version = version
	}
	other := "status"
	if sub == "status" {
		other = "spec"
	}
	ignored := map[fieldpath.APIVersion]*fieldpath.Set{}
	for _, v := range append([]string{s.gvk.Version}, s.more...) {
		gv := rtschema.GroupVersion{Group: s.gvk.Group, Version: v}
		ignored[fieldpath.APIVersion(gv.String())] = fieldpath.NewSet(fieldpath.MakePathOrDie(other))
	}
	reset := fieldpath.NewExcludeFilterSetMap(ignored)
	f := managedfields.NewDefaultFieldManager
	if s.crd {
		f = managedfields.NewDefaultCRDFieldManager
	}
	m, err := f(s.tc, conv{}, conv{}, create{s.crd}, gvk, s.gvk.GroupVersion(), sub, reset)
	must(err)
	return m
}

func (s *subject) fromJSON(m M) runtime.Object {
	if s.crd {
		return &unstructured.Unstructured{Object: clone(m).(M)}
	}
	o := newObj(s.gvk, false)
	b, err := json.Marshal(m)
	must(err)
	if err := json.Unmarshal(b, o); err != nil {
		return nil
	}
	o.GetObjectKind().SetGroupVersionKind(s.gvk)
	return o
}

func (s *subject) toJSON(o runtime.Object) M {
	if u, ok := o.(*unstructured.Unstructured); ok {
		if s.crd {
			return clone(u.Object).(M)
		}
		o = s.fromJSON(u.Object)
	}
	return plain(minimal(reflect.ValueOf(o)))
}

func plain(v interface{}) M {
	b, err := json.Marshal(v)
	must(err)
	u := &unstructured.Unstructured{}
	must(u.UnmarshalJSON(b))
	return u.Object
}

type step struct {
	Op      string      `json:"op"`
	Manager string      `json:"m"`
	Sub     string      `json:"s,omitempty"`
	Version string      `json:"v,omitempty"` // of a custom kind, where it is not the first
	Force   bool        `json:"force,omitempty"`
	Object  interface{} `json:"o"`
	Given   interface{} `json:"given,omitempty"` // managedFields in the object; absent: as in live; "none": null
	Result  interface{} `json:"r,omitempty"`
	Managed interface{} `json:"mf,omitempty"`
	Err     string      `json:"e,omitempty"`
}

type sequence struct {
	*subject
	Seed  int64  `json:"seed"`
	Steps []step `json:"steps"`
}

const base = int64(1000000000)

func entries(o runtime.Object) []metav1.ManagedFieldsEntry {
	a, err := meta.Accessor(o)
	must(err)
	return a.GetManagedFields()
}

func setEntries(o runtime.Object, l []metav1.ManagedFieldsEntry) {
	a, err := meta.Accessor(o)
	must(err)
	a.SetManagedFields(l)
}

func (s *subject) run(seed int64, steps int, empty, wrong float64, crowd bool) *sequence {
	rng = rand.New(rand.NewSource(seed))
	g := &gen{s: s.s, allow: map[string][]schema.StructField{}, empty: empty, crd: s.crd}
	if chance(0.3) {
		g.wrong = wrong
	}
	if crowd {
		steps *= 4
	}
	gens := map[string]*gen{"": g}
	for _, v := range s.more {
		gens[v] = &gen{s: s.s, allow: map[string][]schema.StructField{}, empty: empty, wrong: g.wrong, crd: s.crd}
	}
	seq := &sequence{subject: s, Seed: seed}
	var live runtime.Object
	last := map[string]M{}
	meta0 := func(m M) M {
		m["apiVersion"] = s.Api
		m["kind"] = s.Kind
		mm, _ := m["metadata"].(M)
		if mm == nil {
			mm = M{}
			m["metadata"] = mm
		}
		mm["name"] = "x"
		return m
	}
	kubectl := chance(0.15)
	for n := 1; n <= steps; n++ {
		st := step{Op: "apply", Manager: []string{"m1", "m2", "m3"}[rng.Intn(3)]}
		if chance(0.35) {
			st.Op = "update"
			st.Manager = []string{"u1", "u2", "m1"}[rng.Intn(3)]
		}
		if kubectl && chance(0.5) {
			st.Manager = "kubectl"
			if st.Op == "update" {
				st.Manager = "kubectl-client-side-apply"
			}
		}
		if live != nil && chance(0.15) {
			st.Sub = "status"
		}
		if crowd && st.Op == "update" {
			st.Manager = fmt.Sprintf("u%d", rng.Intn(20))
		}
		st.Force = st.Op == "apply" && chance(0.45)
		if len(s.more) > 0 && chance(0.4) {
			st.Version = s.more[rng.Intn(len(s.more))]
		}
		g := gens[st.Version]
		rootName, api := s.root, s.Api
		if st.Version != "" {
			rootName = "com.example." + st.Version + ".W"
			api = "example.com/" + st.Version
		}
		root := schema.TypeRef{NamedType: &rootName}
		fm := s.manager(st.Sub, st.Version)
		was := live
		if was == nil {
			was = newObj(s.gvk, s.crd)
		}
		var out runtime.Object
		var err error
		if live != nil && scaled[s.Kind] && chance(0.25) {
			st.Sub = "scale"
			out, err = s.scale(&st, live)
		} else if st.Op == "apply" {
			id := st.Manager + "/" + st.Sub + "/" + st.Version
			var cfg M
			if old := last[id]; old != nil && chance(0.7) {
				cfg = g.mutate(clone(old), root, "", 7, 0.5).(M)
			} else {
				cfg = g.value(root, "", 7).(M)
			}
			meta0(cfg)
			cfg["apiVersion"] = api
			if g.wrong == 0 && s.fromJSON(cfg) == nil {
				return nil
			}
			st.Object = clone(cfg)
			out, err = fm.Apply(was.DeepCopyObject(), &unstructured.Unstructured{Object: clone(cfg).(M)}, st.Manager, st.Force)
			if err == nil {
				last[id] = cfg
			}
		} else {
			var obj M
			if live == nil || chance(0.2) {
				obj = g.value(root, "", 7).(M)
			} else {
				obj = s.toJSON(live)
				if mm, ok := obj["metadata"].(M); ok {
					delete(mm, "managedFields")
				}
				obj = g.mutate(obj, root, "", 7, 0.4).(M)
			}
			meta0(obj)
			obj["apiVersion"] = api
			if live != nil {
				obj["metadata"].(M)["uid"] = "u"
			}
			if st.Manager == "kubectl-client-side-apply" {
				mm := obj["metadata"].(M)
				an, _ := mm["annotations"].(M)
				if an == nil {
					an = M{}
					mm["annotations"] = an
				}
				delete(an, "kubectl.kubernetes.io/last-applied-configuration")
				b, _ := json.Marshal(obj)
				an["kubectl.kubernetes.io/last-applied-configuration"] = string(b) + "\n"
			}
			o := s.fromJSON(obj)
			if o == nil && g.wrong > 0 {
				continue // the server would not have read it
			}
			if o == nil {
				return nil
			}
			st.Object = s.toJSON(o)
			switch n := rng.Intn(20); {
			case live == nil && n > 16:
				e := metav1.ManagedFieldsEntry{Manager: "other", Operation: "Apply", APIVersion: s.Api, FieldsType: "FieldsV1",
					FieldsV1: &metav1.FieldsV1{Raw: []byte(`{"f:metadata":{"f:labels":{"f:a":{},"f:z":{}}}}`)}}
				l := []metav1.ManagedFieldsEntry{e, e}[:1+rng.Intn(2)]
				if len(l) == 2 {
					l[1] = metav1.ManagedFieldsEntry{}
					l = l[rng.Intn(2):]
				}
				b, err := json.Marshal(l)
				must(err)
				given := []interface{}{}
				must(json.Unmarshal(b, &given))
				st.Given = given
				setEntries(o, l)
			case live == nil || n < 2: // the client sends none
				if live != nil {
					st.Given = "none"
				}
			case n == 2:
				st.Given = []interface{}{M{}}
				setEntries(o, []metav1.ManagedFieldsEntry{{}})
			case n < 6 && len(entries(live)) > 0:
				l := append([]metav1.ManagedFieldsEntry{}, entries(live)...)
				e := &l[rng.Intn(len(l))]
				switch rng.Intn(6) {
				case 0:
					e.Operation = "Sit"
				case 1:
					e.APIVersion = ""
				case 2:
					e.APIVersion = s.gvk.Group + "/v9"
				case 3:
					e.FieldsType = ""
				case 4:
					e.Manager = "other"
				default:
					l = l[1:]
				}
				var given []interface{}
				b, err := json.Marshal(l)
				must(err)
				must(json.Unmarshal(b, &given))
				st.Given = given
				setEntries(o, l)
			default:
				setEntries(o, entries(live))
			}
			out = fm.UpdateNoErrors(was.DeepCopyObject(), o, st.Manager)
		}
		if err != nil {
			st.Err = err.Error()
			if se, ok := err.(*errors.StatusError); ok && se.Status().Details != nil {
				causes := se.Status().Details.Causes // in the order of the text: it is random between managers
				at := func(c metav1.StatusCause) int {
					return strings.Index(err.Error(), strings.Replace(c.Message, "conflict", "conflicts", 1)+":\n")
				}
				sort.SliceStable(causes, func(i, j int) bool { return at(causes[i]) < at(causes[j]) })
				for _, c := range causes {
					st.Err += "\n" + string(c.Type) + "|" + c.Field + "|" + c.Message
				}
			}
			seq.Steps = append(seq.Steps, st)
			continue
		}
		if u, ok := out.(*unstructured.Unstructured); ok && s.fromJSON(u.Object) == nil {
			continue // nor would it have read this
		}
		// the side that this resource does not write stays as it was
		j := s.toJSON(out)
		mf := entries(out)
		side := "status"
		if st.Sub == "status" {
			side = "spec"
		}
		j = clone(j).(M)
		delete(j, side)
		if live != nil {
			if x, ok := s.toJSON(live)[side]; ok {
				j[side] = x
			}
		}
		now := metav1.NewTime(time.Unix(base+int64(len(seq.Steps)+1), 0).UTC())
		for i := range mf {
			if mf[i].Time != nil && mf[i].Time.Unix() > base+1000000 {
				mf[i].Time = &now
			}
		}
		delete(j["metadata"].(M), "managedFields")
		j["metadata"].(M)["uid"] = "u"
		j["apiVersion"] = s.Api
		live = s.fromJSON(j)
		if live == nil {
			return nil
		}
		// order once more: the times are others
		mf = sorted(mf)
		setEntries(live, mf)
		full := s.toJSON(live)
		st.Managed = full["metadata"].(M)["managedFields"]
		r := clone(full).(M)
		delete(r["metadata"].(M), "managedFields")
		st.Result = r
		seq.Steps = append(seq.Steps, st)
	}
	return seq
}

var scaled = map[string]bool{"StatefulSet": true, "Deployment": true, "ReplicaSet": true, "ReplicationController": true}

const replicasOnly = `{"f:spec":{"f:replicas":{}}}`

// A write to the scale of live, as the API server's handlers of scales do it.
func (s *subject) scale(st *step, live runtime.Object) (runtime.Object, error) {
	gv := s.gvk.GroupVersion()
	h := managedfields.NewScaleHandler(entries(live), gv, managedfields.ResourcePathMappings{gv.String(): fieldpath.MakePathOrDie("spec", "replicas")})
	owners, err := h.ToSubresource()
	must(err)
	j := s.toJSON(live)
	spec, _ := j["spec"].(M)
	if spec == nil {
		spec = M{}
		j["spec"] = spec
	}
	n, _ := spec["replicas"].(int64)
	gvk := autoscaling.SchemeGroupVersion.WithKind("Scale")
	was := &autoscaling.Scale{Spec: autoscaling.ScaleSpec{Replicas: int32(n)}}
	was.SetGroupVersionKind(gvk)
	was.Name, was.UID, was.ManagedFields = "x", "u", owners
	tc, err := managedfields.NewTypeConverter(specsOf(M{metaName: metaModel, "io.k8s.api.autoscaling.v1.Scale": scaleModel}), false)
	must(err)
	fm, err := managedfields.NewDefaultFieldManager(tc, conv{}, conv{}, create{}, gvk, gvk.GroupVersion(), "scale", nil)
	must(err)
	var out runtime.Object
	if st.Op == "apply" {
		cfg := M{"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": M{"name": "x"}, "spec": M{"replicas": int64(rng.Intn(3))}}
		if chance(0.2) {
			delete(cfg["spec"].(M), "replicas")
		}
		st.Object = clone(cfg)
		if out, err = fm.Apply(was.DeepCopyObject(), &unstructured.Unstructured{Object: cfg}, st.Manager, st.Force); err != nil {
			return nil, err
		}
	} else {
		next := was.DeepCopy()
		next.Spec.Replicas = int32(rng.Intn(3))
		st.Object = plain(minimal(reflect.ValueOf(next)))
		delete(st.Object.(M)["metadata"].(M), "managedFields")
		out = fm.UpdateNoErrors(was.DeepCopyObject(), next, st.Manager)
	}
	b, err := json.Marshal(out)
	must(err)
	got := &autoscaling.Scale{}
	must(json.Unmarshal(b, got))
	l, err := h.ToParent(got.ManagedFields)
	must(err)
	spec["replicas"] = int64(got.Spec.Replicas)
	o := s.fromJSON(j)
	setEntries(o, l)
	return o, nil
}

func sorted(l []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	sort.SliceStable(l, func(i, j int) bool {
		p, q := l[i], l[j]
		if p.Operation != q.Operation {
			return p.Operation < q.Operation
		}
		var ps, qs int64
		if p.Time != nil {
			ps = p.Time.Unix()
		}
		if q.Time != nil {
			qs = q.Time.Unix()
		}
		if ps != qs {
			return ps < qs
		}
		if p.Manager != q.Manager {
			return p.Manager < q.Manager
		}
		if p.APIVersion != q.APIVersion {
			return p.APIVersion < q.APIVersion
		}
		if p.Subresource != q.Subresource {
			return p.Subresource < q.Subresource
		}
		return string(p.FieldsV1.Raw) != replicasOnly && string(q.FieldsV1.Raw) == replicasOnly // any in Kubernetes
	})
	return l
}

// ---- custom kinds ----

func randomSchema(depth int, key bool) M {
	if key {
		return []M{{"type": "string"}, {"type": "integer"}, {"type": "string"}, {"type": "boolean"}}[rng.Intn(4)]
	}
	object := func(n int) M {
		p := M{}
		for i := 0; i < n; i++ {
			p[fmt.Sprintf("p%d", i)] = randomSchema(depth-1, false)
		}
		return M{"type": "object", "properties": p}
	}
	kind := rng.Intn(17)
	if depth <= 0 {
		kind = rng.Intn(3)
	}
	switch kind {
	case 0:
		return M{"type": "string"}
	case 1:
		return M{"type": "integer"}
	case 2:
		return []M{{"type": "boolean"}, {"type": "object", "properties": M{"ios": M{"x-kubernetes-int-or-string": true}}}, {"type": "number"}}[rng.Intn(3)]
	case 3, 4:
		return object(1 + rng.Intn(3))
	case 5:
		o := object(1 + rng.Intn(2))
		o["x-kubernetes-map-type"] = "atomic"
		return o
	case 6:
		m := M{"type": "object", "additionalProperties": randomSchema(depth-1, false)}
		if chance(0.3) {
			m["x-kubernetes-map-type"] = "atomic"
		}
		return m
	case 7:
		l := M{"type": "array", "items": randomSchema(depth-1, false)}
		if chance(0.5) {
			l["x-kubernetes-list-type"] = "atomic"
		}
		return l
	case 8:
		return M{"type": "array", "items": []M{{"type": "string"}, {"type": "integer"}}[rng.Intn(2)], "x-kubernetes-list-type": "set"}
	case 9:
		o := object(rng.Intn(2))
		o["x-kubernetes-preserve-unknown-fields"] = true
		return o
	case 10:
		o := object(rng.Intn(3))
		o["x-kubernetes-embedded-resource"] = true
		if len(o["properties"].(M)) == 0 || chance(0.5) {
			o["x-kubernetes-preserve-unknown-fields"] = true
		}
		return o
	case 11:
		o := object(rng.Intn(2))
		delete(o, "type")
		o["x-kubernetes-preserve-unknown-fields"] = true
		return o
	case 12:
		return M{"type": "string", "format": []interface{}{"date-time", "byte", "email"}[rng.Intn(3)]}
	}
	o := object(rng.Intn(3))
	keys := []interface{}{"k1"}
	req := []interface{}{}
	props := o["properties"].(M)
	props["k1"] = randomSchema(0, true)
	if chance(0.5) {
		keys = append(keys, "k2")
		props["k2"] = randomSchema(0, true)
	}
	for _, k := range keys {
		ks := props[k.(string)].(M)
		if chance(0.4) {
			switch ks["type"] {
			case "string":
				ks["default"] = "b"
			case "integer":
				ks["default"] = 2
			default:
				ks["default"] = true
			}
		} else {
			req = append(req, k)
		}
	}
	if len(req) > 0 {
		o["required"] = req
	}
	return M{"type": "array", "items": o, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys}
}

// What the API server adds to the schema of a resource within a value.
func embed(doc interface{}) interface{} {
	m, ok := doc.(M)
	if !ok {
		return doc
	}
	for k, v := range m {
		m[k] = embed(v)
	}
	if m["x-kubernetes-embedded-resource"] == true {
		props, _ := m["properties"].(M)
		if props == nil {
			props = M{}
			m["properties"] = props
		}
		props["apiVersion"], props["kind"] = M{"type": "string"}, M{"type": "string"}
		props["metadata"] = M{"$ref": metaRef}
	}
	return m
}

const metaRef = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

// Another version of a schema: lists, maps and objects become atomic or granular, members go.
func vary(doc interface{}, root bool) interface{} {
	m, ok := doc.(M)
	if !ok {
		return doc
	}
	out := M{}
	keys := []string{}
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		out[k] = vary(m[k], false)
	}
	switch m["type"] {
	case "object":
		if !root && chance(0.2) {
			out["x-kubernetes-map-type"] = []string{"atomic", "granular"}[rng.Intn(2)]
		}
		if props, ok := out["properties"].(M); ok && chance(0.1) {
			for _, p := range []string{"p0", "f1"} {
				if _, has := props[p]; has && len(props) > 1 {
					delete(props, p)
				}
			}
		}
	case "array":
		if chance(0.2) {
			out["x-kubernetes-list-type"] = "atomic"
			delete(out, "x-kubernetes-list-map-keys")
		}
	}
	return out
}

const metaName = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

var (
	str       = M{"type": "string"}
	strs      = M{"type": "object", "additionalProperties": str}
	metaModel = M{"type": "object", "properties": M{
		"name": str, "namespace": str, "uid": str, "labels": strs, "annotations": strs,
		"resourceVersion": str, "creationTimestamp": M{"type": "string", "format": "date-time"},
		"finalizers": M{"type": "array", "items": str, "x-kubernetes-list-type": "set"},
		"ownerReferences": M{"type": "array", "items": M{"type": "object", "x-kubernetes-map-type": "atomic", "properties": M{
			"apiVersion": str, "kind": str, "name": str, "uid": str}}, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": []interface{}{"uid"}},
		"managedFields": M{"type": "array", "items": M{"type": "object", "properties": M{
			"manager": str, "operation": str, "apiVersion": str, "time": str, "fieldsType": str, "subresource": str, "fieldsV1": M{"type": "object"}}}, "x-kubernetes-list-type": "atomic"},
	}}
	number     = M{"type": "integer"}
	scaleModel = M{"type": "object", "x-kubernetes-group-version-kind": []interface{}{M{"group": "autoscaling", "version": "v1", "kind": "Scale"}}, "properties": M{
		"apiVersion": str, "kind": str, "metadata": M{"$ref": metaRef}, "spec": M{"type": "object", "properties": M{"replicas": number}},
		"status": M{"type": "object", "properties": M{"replicas": number, "selector": str}}}}
)

func specsOf(models M) map[string]*spec.Schema {
	specs := map[string]*spec.Schema{}
	for k, v := range models {
		b, err := json.Marshal(v)
		must(err)
		sc := &spec.Schema{}
		must(json.Unmarshal(b, sc))
		specs[k] = sc
	}
	return specs
}

func decoded(v interface{}) M {
	raw, err := json.Marshal(v)
	must(err)
	m := M{}
	must(json.Unmarshal(raw, &m))
	return m
}

func custom(seed int64, versions int) *subject {
	rng = rand.New(rand.NewSource(seed))
	part := func() M {
		p := M{}
		for i := 0; i < 3; i++ {
			p[fmt.Sprintf("f%d", i)] = randomSchema(3, false)
		}
		return M{"type": "object", "properties": p}
	}
	doc := decoded(M{"type": "object", "properties": M{"spec": part(), "status": part()}})
	if chance(0.1) {
		doc["x-kubernetes-preserve-unknown-fields"] = true
	}
	models := M{metaName: metaModel}
	s := &subject{Api: "example.com/v1", Kind: "W", crd: true, Docs: M{}, root: "com.example.v1.W",
		gvk: rtschema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "W"}}
	for i := 1; i <= versions; i++ {
		v := fmt.Sprintf("v%d", i)
		if i > 1 {
			doc = vary(doc, true).(M)
			s.more = append(s.more, v)
		}
		s.Docs[v] = doc
		full := embed(decoded(doc)).(M)
		props := full["properties"].(M)
		props["apiVersion"], props["kind"] = str, str
		props["metadata"] = M{"$ref": metaRef}
		full["x-kubernetes-group-version-kind"] = []interface{}{M{"group": "example.com", "version": v, "kind": "W"}}
		models["com.example."+v+".W"] = full
	}
	specs := specsOf(models)
	var err error
	s.tc, err = managedfields.NewTypeConverter(specs, false)
	must(err)
	s.s, err = schemaconv.ToSchemaFromOpenAPI(specs, false)
	must(err)
	return s
}

func main() {
	count := flag.Int("count", 10, "")
	seed := flag.Int64("seed", 1, "")
	steps := flag.Int("steps", 6, "")
	kinds := flag.String("kinds", "v1/Pod,v1/Service,apps/v1/StatefulSet,apps/v1/Deployment,v1/ConfigMap,v1/Node,custom", "")
	empty := flag.Float64("empty", 0, "share of zero and empty values")
	wrong := flag.Float64("wrong", 0, "share of wrong values, in some sequences")
	crowd := flag.Bool("crowd", false, "long sequences with many updaters")
	flag.Parse()
	tc := applyconfigurations.NewTypeConverter(scheme.Scheme)
	enc := json.NewEncoder(os.Stdout)
	enc.SetEscapeHTML(false)
	bad := 0
	for _, k := range strings.Split(*kinds, ",") {
		for i := 0; i < *count; i++ {
			sd := *seed + int64(i)
			var s *subject
			if k == "custom" {
				s = custom(sd, 1)
			} else if k == "versions" {
				s = custom(sd, 2)
			} else {
				at := strings.LastIndex(k, "/")
				gv, err := rtschema.ParseGroupVersion(k[:at])
				must(err)
				s = &subject{Api: k[:at], Kind: k[at+1:], tc: tc, s: &internal.Parser().Schema, gvk: gv.WithKind(k[at+1:])}
				for _, t := range s.s.Types {
					p := strings.Split(t.Name, ".")
					group := gv.Group
					if group == "" {
						group = "core"
					}
					group = strings.Split(group, ".")[0]
					if len(p) > 3 && p[len(p)-1] == s.Kind && p[len(p)-2] == gv.Version && p[len(p)-3] == group {
						s.root = t.Name
					}
				}
				if s.root == "" {
					panic("no type for " + k)
				}
			}
			seq := s.run(sd, *steps, *empty, *wrong, *crowd)
			if seq == nil {
				bad++
				continue
			}
			must(enc.Encode(seq))
		}
	}
	fmt.Fprintln(os.Stderr, "skipped", bad)
}
