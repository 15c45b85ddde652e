/* Log rotation: what is renamed, what is kept. Includes the file to reach its inside without
 * waiting for its timers. */
#include <fcntl.h>

#include "base/strbuf.h"
#include "sim/env_sim.h"
#include "test/kit/kit.h"

#include "kubelet/kubelet_logs.c"
#include "runtime/runtime_fake.h"

TEST(a_rotation_renames_the_log_and_keeps_five_files)
{
    struct arena *a = arena_new();
    struct env *env = env_sim_new(1);
    struct kubelet k = {.env = env, .runtime = runtime_fake_new(env)};
    k.options.data_dir = span_cstr(kit_tmpdir());
    struct pod_container_view v = {.name = SPAN("c"), .attempt = 3};
    struct kubelet_pod pod = {.k = &k, .uid = SPAN("u"), .ns = SPAN("n"), .name = SPAN("p")};
    struct kubelet_container c = {.pod = &pod, .v = &v};
    list_init(&pod.ops);
    struct kubelet_rotation r = {.c = &c, .path = kubelet_log_path(a, &c, 3)};
    r.dir = arena_dup(a, span_first(r.path, span_rfind(r.path, '/')));
    r.file = SPAN("3.log");
    CHECK_EQ(kubelet_mkdirs(r.dir.p, 0755), 0);
    CHECK(span_ends(r.path, SPAN("/logs/n_p_u/c/3.log")));
    for (int i = 0; i < 8; i++) {
        int fd = open(r.path.p, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        CHECK(fd >= 0);
        (void)close(fd);
        rotate(&r);
        CHECK_EQ(access(r.path.p, F_OK), -1); /* the monitor makes it anew */
        env_sim_run_for(env, 10);
    }
    size_t n = 0;
    DIR *d = opendir(r.dir.p);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        n += span_starts(span_cstr(e->d_name), SPAN("3.log."));
    }
    (void)closedir(d);
    CHECK_EQ(n, ROTATE_KEEP - 1); /* and the current one */
    CHECK(list_is_empty(&pod.ops));
    k.runtime->ops->free(k.runtime);
    env_sim_free(env);
    arena_free(a);
}
