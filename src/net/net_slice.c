#include "net/net_slice.h"

#include "base/arena.h"
#include "base/check.h"
#include "codec/json.h"

struct span net_slice_service(struct object *slice)
{
    assert(slice);
    return json_str(
        json_path(object_root(slice), "metadata", "labels", "kubernetes.io/service-name", NULL));
}

void net_slice_key(struct object *slice, void (*emit)(void *ctx, struct span key), void *ctx)
{
    assert(emit);
    struct arena *a cleanup_arena = arena_new();
    struct span service = net_slice_service(slice);
    if (service.n) {
        emit(ctx, ARENA_JOIN(a, object_namespace(slice), SPAN("/"), service));
    }
}

bool net_slice_collect(void *data, struct object *slice)
{
    assert(data);
    assert(slice);
    net_slice_list *list = data;
    VEC_PUSH(list, object_root(slice));
    return true;
}
