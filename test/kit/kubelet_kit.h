/* test/kit/kubelet_kit.h: a node agent in virtual time: API server on a memory store, local client,
 * fake runtime. */
#ifndef TEST_KIT_KUBELET_KIT_H
#define TEST_KIT_KUBELET_KIT_H

#include "apiserver/apiserver.h"
#include "codec/json.h"
#include "kubelet/kubelet.h"
#include "kubelet/kubelet_images.h"
#include "runtime/runtime_fake.h"
#include "test/kit/kit.h"

struct kubelet_kit {
    struct env *env;
    struct store *store;
    struct watch_hub *hub;
    struct apiserver *server;
    struct client *client;
    struct runtime *runtime;
    struct kubelet_images *images;
    struct kubelet *kubelet;
    struct arena *arena; /* of answers */
    bool ready;
    struct span data_dir; /* empty: the agent keeps no files */
};

/* Of a node agent "edge"; data_dir empty: one that keeps no files. */
struct kubelet_options kk_options(struct span data_dir, struct runtime *runtime,
                                  struct kubelet_images *images);

void kk_start(struct kubelet_kit *k);
/* With files below data_dir, and tokens of accounts. */
void kk_start_files(struct kubelet_kit *k, struct span data_dir);
void kk_stop(struct kubelet_kit *k);
/* A kubelet, as after a start of the program. */
void kk_kubelet(struct kubelet_kit *k);
/* The agent is killed: nothing is told to the runtime. */
void kk_kill(struct kubelet_kit *k);
void kk_run(struct kubelet_kit *k, int64_t ms);
/* Creates; fails the test when the server refuses. */
void kk_create(struct kubelet_kit *k, const char *kind, const char *json);
void kk_patch(struct kubelet_kit *k, const char *kind, const char *name, const char *json);
void kk_delete(struct kubelet_kit *k, const char *kind, const char *name, int64_t grace_s);
/* In namespace default (or of cluster scope); NULL when absent. Valid until kk_stop. */
yyjson_val *kk_get(struct kubelet_kit *k, const char *kind, const char *name);
/* A value of the pod by dots: "status.containerStatuses.0.state.waiting.reason"; numbers and
 * booleans as text; empty when absent. */
struct span kk_pod(struct kubelet_kit *k, const char *name, const char *path);
/* Status of a pod's condition. */
struct span kk_condition(struct kubelet_kit *k, const char *pod, const char *type);
/* Message of the newest event of this reason about the pod; empty when there is none. */
struct span kk_event(struct kubelet_kit *k, const char *pod, const char *reason);
size_t kk_event_count(struct kubelet_kit *k, const char *pod, const char *reason);
/* A pod manifest on our node: spec members and annotations as JSON text without braces ("" for
 * none). */
const char *kk_pod_json(struct kubelet_kit *k, const char *name, const char *annotations,
                        const char *container_extra, const char *spec_extra);

/* Is that part of the text? */
bool kk_says(struct span text, const char *part);

#endif
