# What test/conformance/others runs of Ruby's kubeclient. One line a step: "pass NAME" or "fail NAME", faults before it, "done" at the end.
require 'kubeclient'
def step(name); yield; puts "pass #{name}"; rescue Exception => e; puts "  #{e.class}: #{e.message[0,600]}", "fail #{name}"; end
def equal(a, b); raise "got #{a.inspect}, wanted #{b.inspect}" unless a == b; end
config = Kubeclient::Config.read(ENV['KUBECONFIG'])
c = config.context
opt = {ssl_options: c.ssl_options, auth_options: c.auth_options}
core = Kubeclient::Client.new(c.api_endpoint, 'v1', **opt)
apps = Kubeclient::Client.new(c.api_endpoint + '/apis/apps', 'v1', **opt)
step('discovery') { core.discover; apps.discover; raise 'no' unless core.respond_to?(:get_pods) && apps.respond_to?(:create_stateful_set) }
step('api valid') { equal core.api_valid?, true }
step('create') { core.create_namespace(Kubeclient::Resource.new(metadata: {name: 'rb'})); m = core.create_config_map(Kubeclient::Resource.new(metadata: {name: 'map', namespace: 'rb', labels: {a: 'b'}}, data: {x: '1'})); equal m.data.x, '1' }
step('get, update') { m = core.get_config_map('map', 'rb'); m.data.y = '2'; equal core.update_config_map(m).data.to_h, {x: '1', y: '2'} }
step('a conflict') { m = core.get_config_map('map', 'rb'); m.metadata.resourceVersion = '1'; begin; core.update_config_map(m); raise 'accepted'; rescue Kubeclient::HttpError => e; equal e.error_code, 409; end }
step('patches') { equal core.patch_config_map('map', {data: {z: '3'}}, 'rb').data.z, '3'; equal core.merge_patch_config_map('map', {data: {z: nil}}, 'rb').data.z, nil; equal core.json_patch_config_map('map', [{op: 'add', path: '/data/q', value: '4'}], 'rb').data.q, '4' }
step('server-side apply') { m = core.apply_config_map({kind: 'ConfigMap', apiVersion: 'v1', metadata: {name: 'applied', namespace: 'rb'}, data: {k: 'v'}}, field_manager: 'ruby'); equal m.metadata.managedFields[0].manager, 'ruby' }
step('not found') { begin; core.get_pod('none', 'rb'); raise 'found'; rescue Kubeclient::ResourceNotFoundError; end }
step('lists: labels, limit and continue') { equal core.get_config_maps(namespace: 'rb', label_selector: 'a=b').map { |m| m.metadata.name }, ['map']
  p1 = core.get_config_maps(namespace: 'rb', limit: 1); raise 'no more' unless p1.continue; n = [p1[0].metadata.name]; while p1.continue; p1 = core.get_config_maps(namespace: 'rb', limit: 1, continue: p1.continue); n << p1[0].metadata.name; end; equal n.sort, %w[applied kube-root-ca.crt map] }
step('a list as text') { raise 'no' unless core.get_pods(as: :raw).include?('"PodList"'); equal core.get_pods(as: :parsed_symbolized)[:kind], 'PodList' }
seen = []
step('a set, and a watch that sees its pods') {
  v = core.get_pods(namespace: 'rb').resourceVersion
  w = core.watch_pods(namespace: 'rb', resource_version: v)
  t = Thread.new { w.each { |n| seen << [n.type, n.object.metadata.name] ; break if n.object.status.conditions&.any? { |x| x.type == 'Ready' && x.status == 'True' } } }
  apps.create_stateful_set(Kubeclient::Resource.new(metadata: {name: 'db', namespace: 'rb'}, spec: {serviceName: 'db', replicas: 1, selector: {matchLabels: {app: 'db'}}, template: {metadata: {labels: {app: 'db'}}, spec: {terminationGracePeriodSeconds: 1, containers: [{name: 'c', image: 'web:1', command: ['sh', '-c', 'echo one; echo two; sleep 1000']}]}}}))
  raise "only #{seen}" unless t.join(60); w.finish
  equal seen[0], ['ADDED', 'db-0'] }
step('logs') { equal core.get_pod_log('db-0', 'rb').to_s, "one\ntwo\n"; equal core.get_pod_log('db-0', 'rb', tail_lines: 1).to_s, "two\n" }
step('a log that is followed') { lines = []; w = core.watch_pod_log('db-0', 'rb'); Thread.new { sleep 2; w.finish }; w.each { |l| lines << l }; equal lines, %w[one two] }
step('all entities') { e = core.all_entities(namespace: 'rb'); equal e['config_map'].size, 3 }
step('proxy url') { core.proxy_url('service', 'kubernetes', 443, 'default') }
step('delete collection and options') { core.delete_config_maps(namespace: 'rb', label_selector: 'a=b') if core.respond_to?(:delete_config_maps); apps.delete_stateful_set('db', 'rb', delete_options: Kubeclient::Resource.new(propagationPolicy: 'Foreground')); 300.times { break if core.get_pods(namespace: 'rb').empty?; sleep 0.1 }; equal core.get_pods(namespace: 'rb').size, 0 }
step('namespace goes') { core.delete_namespace('rb'); 300.times { begin; core.get_namespace('rb'); rescue Kubeclient::ResourceNotFoundError; break; end; sleep 0.1 } ; begin; core.get_namespace('rb'); raise 'still'; rescue Kubeclient::ResourceNotFoundError; end }
puts "done"
