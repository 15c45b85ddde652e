/* runtime/runtime_fake.h: a runtime without containers: pods run by themselves, in virtual or real
 * time, and touch no file. For `--container-runtime fake`, benchmarks, tests and the simulator.
 * Annotations of the pod steer it:
 *
 *   berth.dev/fake-start-ms       delay of a start (0)
 *   berth.dev/fake-start-error    text: every start fails with it
 *   berth.dev/fake-exit-after-ms  the process ends by itself, this long after its start
 *   berth.dev/fake-exit-code      with this code (0)
 *   berth.dev/fake-stop-ms        time between the stop signal and the end (0)
 *   berth.dev/fake-ignore-term    "true": only SIGKILL ends it
 *   berth.dev/fake-ready-ms       exec probes fail until this long after the start (0)
 *   berth.dev/fake-exec-ms        time that a command takes (0)
 *   berth.dev/fake-memory         bytes in use: a resize below them fails (0)
 *   berth.dev/fake-cpu            thousandths of a processor in use (0)
 *
 * The machine uses what its containers use. */
#ifndef RUNTIME_RUNTIME_FAKE_H
#define RUNTIME_RUNTIME_FAKE_H

#include "runtime/runtime.h"

struct runtime *runtime_fake_new(struct env *env);
/* The agent died: every callback under way and the exit listener are forgotten; containers go on.
 */
void runtime_fake_cut(struct runtime *rt);
/* The machine died: containers are gone, sandboxes are listed as not ready (keep) or gone too. */
void runtime_fake_reboot(struct runtime *rt, bool keep_sandboxes);
/* Ends a running container as if its process had; false when there is none. */
bool runtime_fake_exit(struct runtime *rt, struct span id, int32_t exit_code);
bool runtime_fake_is_running(const struct runtime *rt, struct span id);
size_t runtime_fake_running(const struct runtime *rt);
size_t runtime_fake_sandboxes(const struct runtime *rt);
/* Starts so far; and the highest number of live instances that one container name ever had at once.
 */
uint64_t runtime_fake_starts(const struct runtime *rt);
size_t runtime_fake_most_alive(const struct runtime *rt);
/* The last signal that was sent to a running container; 0: none yet. */
int runtime_fake_last_signal(const struct runtime *rt);
/* Those that the last successful resize gave. */
struct runtime_limits runtime_fake_last_limits(const struct runtime *rt);
/* The pods (namespace, name, uid) whose containers run, once a container. */
typedef void runtime_fake_pod_fn(void *data, struct span ns, struct span name, struct span uid);
void runtime_fake_each(const struct runtime *rt, runtime_fake_pod_fn *fn, void *data);
/* That a live container of this pod was started from; empty: none lives. */
struct span runtime_fake_image(const struct runtime *rt, struct span uid);
/* fn at each start of a container, when it runs. */
void runtime_fake_on_start(struct runtime *rt, runtime_fake_pod_fn *fn, void *data);

#endif
