/* kubelet/kubelet_cause.c: why a container is not ready, or has ended, in words for the pod's
 * condition Ready.
 *
 * Told anew when the answer is another one (its digits aside), and when the count has doubled: a
 * failure does not cost a status write. So the words hold no times, and counts that may have grown
 * say so. */
#include "base/check.h"
#include "base/map.h"
#include "base/strbuf.h"
#include "kubelet/kubelet_check_priv.h"
#include "kubelet/kubelet_logs_priv.h"

enum { QUESTION_MAX = 200, OUTPUT_MAX = 300 };

/* One line of what a program said. */
static struct span line_of(struct arena *a, struct span output)
{
    struct strbuf text cleanup_strbuf = STRBUF_INIT;
    strbuf_put(&text, json_clean_text(a, span_trim(output), OUTPUT_MAX));
    for (size_t i = 0; i < text.n; i++) {
        text.p[i] = (unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f ? ' ' : text.p[i];
    }
    return arena_dup(a, strbuf_span(&text));
}

/* "failed 3 times, last output: "..."" */
static struct span failures(struct arena *a, const struct kubelet_probe_cause *p)
{
    struct span line = line_of(a, p->output);
    struct span count = arena_printf(a, "failed %s%lld time%s", p->grown ? "at least " : "",
                                     (long long)p->failures, p->failures == 1 ? "" : "s");
    return line.n ? arena_printf(a, "%.*s, last output: \"%.*s\"", SPAN_ARG(count), SPAN_ARG(line))
                  : arena_printf(a, "%.*s, without output", SPAN_ARG(count));
}

static struct span probe_text(struct arena *a, const struct kubelet_container *c,
                              const struct kubelet_probe_cause *p)
{
    struct span question = json_clean_text(a, kubelet_check_question(a, c, p->spec), QUESTION_MAX);
    int64_t delay_s = json_get_int(p->spec, "initialDelaySeconds", 0);
    struct span result =
        p->failures > 0 ? failures(a, p)
        : delay_s > 0   ? arena_printf(a,
                                       "has not passed yet: it is first run %lld seconds after the "
                                         "start (initialDelaySeconds)",
                                       (long long)delay_s)
                        : SPAN("has not passed yet");
    return arena_printf(a, "%s probe `%.*s` %.*s", p->word, SPAN_ARG(question), SPAN_ARG(result));
}

void kubelet_cause_unready(struct kubelet_container *c, const struct kubelet_probe_cause *p)
{
    struct arena *a cleanup_arena = arena_new();
    kubelet_keep(&c->v->unready_cause, probe_text(a, c, p));
}

void kubelet_cause_killed(struct kubelet_container *c, const struct kubelet_probe_cause *p)
{
    struct arena *a cleanup_arena = arena_new();
    assert(p->failures > 0);
    kubelet_keep(&c->v->end_cause,
                 arena_printf(a, "killed after its %.*s", SPAN_ARG(probe_text(a, c, p))));
}

void kubelet_cause_hook(struct kubelet_container *c, struct span output)
{
    struct arena *a cleanup_arena = arena_new();
    struct span line = line_of(a, output);
    kubelet_keep(
        &c->v->end_cause,
        arena_printf(a, "killed after its postStart hook failed: \"%.*s\"", SPAN_ARG(line)));
}

void kubelet_cause_exit(struct kubelet_container *c)
{
    struct kubelet_pod *pod = c->pod;
    bool over = !pod->object || !pod->view.exists || object_is_deleting(pod->object);
    if (c->v->unhealthy && !c->v->renewed) {
        return; /* who killed it has said why */
    }
    struct arena *a cleanup_arena = arena_new();
    struct span line = SPAN_NULL;
    if (!over && !c->v->renewed && c->v->result.message.n == 0 && !pod->k->options.no_files) {
        struct span rest =
            span_trim(kubelet_log_end(a, kubelet_log_path(a, c, c->v->attempt), 5, OUTPUT_MAX * 4));
        line = line_of(
            a, span_from(rest, span_rfind(rest, '\n') < rest.n ? span_rfind(rest, '\n') + 1 : 0));
    }
    kubelet_keep(&c->v->end_cause,
                 line.n ? arena_printf(a, "last words: \"%.*s\"", SPAN_ARG(line)) : SPAN_NULL);
}

uint64_t kubelet_cause_hash(struct span output)
{
    struct strbuf letters cleanup_strbuf = STRBUF_INIT;
    for (size_t i = 0; i < output.n && i < OUTPUT_MAX; i++) {
        if (output.p[i] < '0' || output.p[i] > '9') {
            strbuf_putc(&letters, output.p[i]);
        }
    }
    return map_hash(strbuf_span(&letters));
}
