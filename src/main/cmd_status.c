/* berth status: reads the API through the control socket and says, on one screen, what is there and
 * what waits. */
#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/err.h"
#include "codec/json.h"
#include "main/control.h"
#include "main/main.h"
#include "main/options.h"
#include "main/status_page.h"

static int load(struct arena *a, struct span dir, struct status_world *w, struct span *why)
{
    const struct {
        const char *path;
        yyjson_val **at;
    } lists[] = {{"/api/v1/nodes", &w->nodes},
                 {"/apis/apps/v1/statefulsets", &w->sets},
                 {"/api/v1/pods", &w->pods},
                 {"/api/v1/persistentvolumeclaims", &w->claims},
                 {"/api/v1/events", &w->events}};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        yyjson_doc *doc;
        int code = control_get(a, dir, lists[i].path, &doc, why);
        if (code < 0) {
            return code;
        }
        *lists[i].at = json_get(yyjson_doc_get_root(doc), "items");
    }
    return 0;
}

/* Of the terminal; elsewhere a cause is one line, for grep. */
static size_t terminal_width(void)
{
    struct winsize size = {0};
    if (!isatty(STDOUT_FILENO)) {
        return 0;
    }
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40 ? size.ws_col : 80;
}

/* [NAMESPACE/]SET */
static bool parse_set(const struct options *o, struct status_view *view)
{
    struct span word = o->arg_count ? span_cstr(o->args[0]) : SPAN_NULL;
    size_t slash = span_find(word, '/');
    view->ns = slash < word.n ? span_first(word, slash) : SPAN("default");
    view->set = slash < word.n ? span_from(word, slash + 1) : word;
    bool wrong = o->arg_count == 1 && (view->set.n == 0 || view->ns.n == 0);
    if (wrong || o->arg_count > 1) {
        (void)fprintf(stderr,
                      "berth status: \"%s\" is %s: no word shows everything, one, SET or "
                      "NAMESPACE/SET, that set\n",
                      o->args[o->arg_count - 1], wrong ? "no name of a set" : "too much");
        return false;
    }
    return true;
}

int cmd_status(int argc, char **argv)
{
    struct arena *a cleanup_arena = arena_new();
    struct options o;
    struct status_view view = {.width = terminal_width()};
    int code = options_parse(a, OPTIONS_COMMON, "status", argc, argv, &o);
    if (code != 0 || !parse_set(&o, &view)) {
        return code <= 0 ? 2 : 0;
    }
    struct status_world w = {0};
    struct span why = SPAN_NULL;
    code = load(a, o.data_dir, &w, &why);
    if (code < 0) {
        (void)fprintf(stderr, "berth status: %.*s%s\n", SPAN_ARG(why),
                      code == -ECONNREFUSED
                          ? "; start it with `berth server`, or name the data directory of the one "
                            "that runs with --data-dir"
                          : "");
        return 1;
    }
    if (view.set.n && !status_has_set(&w, &view)) {
        (void)fprintf(stderr,
                      "berth status: there is no set %.*s/%.*s; `berth status` lists all of them\n",
                      SPAN_ARG(view.ns), SPAN_ARG(view.set));
        return 1;
    }
    if (view.set.n == 0) {
        (void)printf("berth %s on %.*s\n", BERTH_VERSION, SPAN_ARG(o.data_dir));
    }
    struct span page = status_page(a, &w, &view);
    (void)fwrite(page.p, 1, page.n, stdout);
    return 0;
}
