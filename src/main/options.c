#include "main/options.h"

#include <argp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/strbuf.h"
#include "codec/json.h"
#include "codec/yaml.h"
#include "os/os_fs.h"

enum { SECONDS_MAX = 365 * 24 * 60 * 60 };

enum option_type {
    TYPE_TEXT,
    TYPE_LIST,
    TYPE_PORT,
    TYPE_LEVEL,
    TYPE_PERCENT,
    TYPE_SECONDS,
    TYPE_GRACE,
};

/* The types that are numbers. */
static const struct range {
    int64_t least, most;
    const char *wrong;
} ranges[] = {
    [TYPE_PORT] = {1, UINT16_MAX, "is no port; give a number from 1 to 65535"},
    [TYPE_LEVEL] = {0, 9, "is no level; give a number from 0 to 9"},
    [TYPE_PERCENT] = {0, 100, "is no percentage; give a number from 0 to 100"},
    [TYPE_SECONDS] = {0, SECONDS_MAX,
                      "is no number of seconds; give one of up to 31536000 (a year)"},
    [TYPE_GRACE] = {1, LIMIT_GRACE_S, "is no time; give seconds, 1 or more"},
};

/* What `berth COMMAND --help` says before and after the list of its options. */
static const struct usage {
    const char *command, *words, *about;
    size_t words_max; /* OPTIONS_WORDS_ANY: the command counts them itself */
} usages[] = {
    {"server", "",
     "Runs the server in the foreground.\v"
     "SIGTERM and Ctrl-C end the server and leave the containers running; the next server adopts "
     "them. `berth stop` ends both.",
     0},
    {"image", "import FILE...\nls\npull REF\nrm REF",
     "Images on this machine: import archives (made by `docker save`, `podman save` or `skopeo "
     "copy`; - is standard input), list, pull from a registry, remove.",
     OPTIONS_WORDS_ANY},
    {"status", "[[NAMESPACE/]SET]",
     "What runs: the nodes, the sets with their pods, what waits and why; with a name, one set "
     "in detail.",
     OPTIONS_WORDS_ANY},
    {"stop", "",
     "Ends the pods, those of a StatefulSet from the last to the first, each within its grace "
     "period; then takes network and mounts away and ends the server. What is stored stays: the "
     "next server starts the pods again.\v"
     "Ctrl-C ends the waiting only: the server goes on stopping, and a second `berth stop` shows "
     "how far it is. When no server runs, what it left behind is killed and taken away at once.",
     0},
    {"kubeconfig", "USER [GROUP...]",
     "Prints a kubeconfig with a certificate for that user. What they may do is said by roles.",
     OPTIONS_WORDS_ANY},
    {"version", "", "Prints the version.", 0},
};

/* A value's check: NULL, or what is wrong with it. */
typedef const char *check_fn(struct arena *a, struct span value);

static const char *check_address(struct arena *a, struct span v)
{
    unsigned char raw[16];
    const char *text = arena_cstr(a, v);
    bool ok = inet_pton(AF_INET, text, raw) == 1 || inet_pton(AF_INET6, text, raw) == 1;
    return ok ? NULL : "is no IP address; give one such as 127.0.0.1 or 0.0.0.0";
}

static const char *check_cidr(struct arena *a, struct span v)
{
    struct span rest = v;
    const char *ip = arena_cstr(a, span_cut(&rest, '/'));
    unsigned char raw[4];
    int64_t bits;
    if (inet_pton(AF_INET, ip, raw) != 1 || !span_to_i64(rest, &bits) || bits < 8 || bits > 28) {
        return "is no IPv4 range; give one such as 10.42.0.0/16 (a prefix of 8 to 28 bits)";
    }
    return NULL;
}

static const char *check_domain(struct arena *a, struct span v)
{
    (void)a;
    for (size_t i = 0; i < v.n; i++) {
        char c = v.p[i];
        if (i && v.p[i - 1] == '.' && (c == '.' || c == '-')) {
            return "is no name; each part must begin with a letter or digit";
        }
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.')) {
            return "is no name; lower-case letters, digits, '-' and '.' are allowed";
        }
    }
    return v.n && v.n <= 63 && v.p[0] != '.' && v.p[0] != '-' && v.p[v.n - 1] != '.'
               ? NULL
               : "is no name; it must have 1 to 63 characters and begin with a letter or digit";
}

static const char *check_bridge(struct arena *a, struct span v)
{
    return v.n > 11 ? "is too long; an interface name made from it may have 11 characters"
                    : check_domain(a, v);
}

static const char *check_mirror(struct arena *a, struct span v)
{
    (void)a;
    struct span url = v;
    struct span host = span_cut(&url, '=');
    bool ok = host.n && (span_starts(url, SPAN("http://")) || span_starts(url, SPAN("https://")));
    return ok ? NULL : "is no mirror; write HOST=URL, such as docker.io=http://127.0.0.1:5000";
}

static const char *check_runtime(struct arena *a, struct span v)
{
    (void)a;
    return span_eq(v, SPAN("crun")) || span_eq(v, SPAN("fake"))
               ? NULL
               : "is unknown; crun and fake are there";
}

static const char *check_format(struct arena *a, struct span v)
{
    (void)a;
    return span_eq(v, SPAN("text")) || span_eq(v, SPAN("json")) ? NULL
                                                                : "is unknown; use text or json";
}

static const char *check_path(struct arena *a, struct span v)
{
    (void)a;
    return v.n ? NULL : "is empty; give a path";
}

static const struct setting {
    const char *name;
    int key; /* argp's: a letter, or a number above 255 */
    const char *arg;
    enum option_type type;
    unsigned groups;
    const char *initial;
    size_t offset;
    check_fn *check;
    const char *doc;
} settings[] = {
#define AT(member) offsetof(struct options, member)
    {"data-dir", 256, "DIR", TYPE_TEXT, OPTIONS_COMMON | OPTIONS_SERVER | OPTIONS_IMAGE,
     "/var/lib/berth", AT(data_dir), check_path, "where everything is kept"},
    {"config", 257, "FILE", TYPE_TEXT, OPTIONS_SERVER, NULL, AT(config), NULL,
     "YAML file with any of these settings under the flag's own name; flags override it"},
    {"bind-address", 258, "ADDR", TYPE_TEXT, OPTIONS_SERVER | OPTIONS_KUBECONFIG, "127.0.0.1",
     AT(bind_address), check_address, "address of the API; 0.0.0.0 opens it to other machines"},
    {"https-listen-port", 259, "PORT", TYPE_PORT, OPTIONS_SERVER | OPTIONS_KUBECONFIG, "6443",
     AT(https_listen_port), NULL, "port of the API"},
    {"node-name", 260, "NAME", TYPE_TEXT, OPTIONS_SERVER, NULL, AT(node_name), check_domain,
     "name of this node; the host name if not given"},
    {"write-kubeconfig", 261, "FILE", TYPE_TEXT, OPTIONS_SERVER, NULL, AT(write_kubeconfig),
     check_path, "where the kubeconfig goes; DATA-DIR/kubeconfig if not given"},
    {"cluster-cidr", 262, "CIDR", TYPE_TEXT, OPTIONS_SERVER | OPTIONS_STOP, "10.42.0.0/16",
     AT(cluster_cidr), check_cidr, "addresses of pods"},
    {"service-cidr", 263, "CIDR", TYPE_TEXT, OPTIONS_SERVER | OPTIONS_STOP, "10.43.0.0/16",
     AT(service_cidr), check_cidr, "addresses of services"},
    {"cluster-dns", 264, "ADDR", TYPE_TEXT, OPTIONS_SERVER | OPTIONS_STOP, "10.43.0.10",
     AT(cluster_dns), check_address, "address of the DNS server, within the service range"},
    {"cluster-domain", 265, "NAME", TYPE_TEXT, OPTIONS_SERVER, "cluster.local", AT(cluster_domain),
     check_domain, "domain that services are named in"},
    {"bridge", 266, "NAME", TYPE_TEXT, OPTIONS_SERVER | OPTIONS_STOP, "berth0", AT(bridge),
     check_bridge, "name of the pods' bridge; servers side by side need different ones"},
    {"registry-mirror", 267, "HOST=URL", TYPE_LIST, OPTIONS_SERVER | OPTIONS_IMAGE, NULL,
     AT(registry_mirrors), check_mirror,
     "pull images of HOST from URL (may be repeated; http is fine)"},
    {"image-gc-high-threshold", 271, "PERCENT", TYPE_PERCENT, OPTIONS_SERVER, "85",
     AT(image_high_percent), NULL,
     "use of the disk from which unused images are removed, but for imported ones; 100: never"},
    {"image-gc-low-threshold", 272, "PERCENT", TYPE_PERCENT, OPTIONS_SERVER, "80",
     AT(image_low_percent), NULL, "use of the disk at which that ends"},
    {"minimum-image-ttl", 273, "SECONDS", TYPE_SECONDS, OPTIONS_SERVER, "120", AT(image_min_age_s),
     NULL, "an image that was used within so many seconds stays"},
    {"container-runtime", 268, "NAME", TYPE_TEXT, OPTIONS_SERVER, "crun", AT(container_runtime),
     check_runtime, "crun, or fake: no container, pods become Ready by themselves"},
    {"log-format", 269, "FORMAT", TYPE_TEXT, OPTIONS_SERVER, "text", AT(log_format), check_format,
     "text or json"},
    {"verbosity", 'v', "LEVEL", TYPE_LEVEL, OPTIONS_SERVER, "1", AT(verbosity), NULL,
     "0 errors and warnings, 1 what happens, 2 everything"},
    {"grace-period", 274, "SECONDS", TYPE_GRACE, OPTIONS_STOP, NULL, AT(grace_period_s), NULL,
     "no pod has longer to end, whatever its own grace period is"},
    {"as", 270, "REF", TYPE_TEXT, OPTIONS_IMAGE, NULL, AT(as), check_path,
     "import: the name of images that carry none"},
#undef AT
};
enum {
    SETTINGS = sizeof settings / sizeof *settings,
    REMEMBERED = OPTIONS_STOP | OPTIONS_KUBECONFIG,
    USAGE_KEY = 400
};

struct parse {
    struct arena *a;
    unsigned groups;
    const char *command;
    struct options *o;
    bool given[SETTINGS]; /* by a flag: the file does not override it */
    const char **args;
    size_t arg_count;
    const struct usage *usage;
    bool failed, help;
};

static int complain(struct parse *p, const char *where, const char *name, struct span value,
                    const char *what)
{
    (void)fprintf(stderr, "berth %s: %s%s \"%.*s\" %s\n", p->command, where, name, SPAN_ARG(value),
                  what);
    p->failed = true;
    return -1;
}

static int apply_number(struct parse *p, const char *where, const struct setting *s,
                        struct span value)
{
    const struct range *r = &ranges[s->type];
    void *at = (char *)p->o + s->offset;
    int64_t number = 0;
    assert(r->wrong);
    if (!span_to_i64(value, &number) || number < r->least || number > r->most) {
        return complain(p, where, s->name, value, r->wrong);
    }
    if (s->type == TYPE_PORT) {
        *(uint16_t *)at = (uint16_t)number;
    } else {
        *(int64_t *)at = number;
    }
    return 0;
}

static int apply(struct parse *p, const char *where, const struct setting *s, struct span value)
{
    const char *wrong = s->check ? s->check(p->a, value) : NULL;
    if (wrong) {
        return complain(p, where, s->name, value, wrong);
    }
    if (s->type == TYPE_TEXT) {
        *(struct span *)((char *)p->o + s->offset) = arena_dup(p->a, value);
        return 0;
    }
    if (s->type != TYPE_LIST) {
        return apply_number(p, where, s, value);
    }
    if (p->o->registry_mirror_count == OPTIONS_MIRRORS_MAX) {
        return complain(p, where, s->name, value, "is one too many; 64 are allowed");
    }
    p->o->registry_mirrors[p->o->registry_mirror_count++] = arena_dup(p->a, value);
    return 0;
}

static error_t on_option(int key, char *arg, struct argp_state *state)
{
    struct parse *p = state->input;
    if (key == ARGP_KEY_ARG) {
        if (p->arg_count >= p->usage->words_max) {
            (void)fprintf(stderr,
                          "berth %s: \"%s\" is too much: it takes options only; `berth %s --help` "
                          "lists them\n",
                          p->command, arg, p->command);
            p->failed = true;
            return EINVAL;
        }
        p->args[p->arg_count++] = arg;
        return 0;
    }
    if (key == 'h' || key == '?' || key == USAGE_KEY) {
        p->help = true;
        argp_state_help(state, stdout,
                        key == USAGE_KEY ? ARGP_HELP_USAGE
                                         : ARGP_HELP_STD_HELP & ~ARGP_HELP_EXIT_OK);
        return 0;
    }
    for (size_t i = 0; i < SETTINGS; i++) {
        if (settings[i].key == key) {
            p->given[i] = true;
            return apply(p, "--", &settings[i], span_cstr(arg)) ? EINVAL : 0;
        }
    }
    return ARGP_ERR_UNKNOWN;
}

static int run_argp(struct parse *p, int argc, char **argv)
{
    struct argp_option table[SETTINGS + 4] = {0};
    size_t n = 0;
    for (size_t i = 0; i < SETTINGS; i++) {
        if (settings[i].groups & p->groups) {
            const char *doc =
                settings[i].initial
                    ? arena_printf(p->a, "%s (default %s)", settings[i].doc, settings[i].initial).p
                    : settings[i].doc;
            table[n++] =
                (struct argp_option){settings[i].name, settings[i].key, settings[i].arg, 0, doc, 0};
        }
    }
    table[n++] = (struct argp_option){"help", 'h', NULL, 0, "this text", -1};
    table[n++] = (struct argp_option){NULL, '?', NULL, OPTION_ALIAS, NULL, -1};
    table[n++] = (struct argp_option){"usage", USAGE_KEY, NULL, OPTION_HIDDEN, NULL, -1};
    struct argp argp = {
        .options = table, .parser = on_option, .args_doc = p->usage->words, .doc = p->usage->about};
    argv[0] = (char *)(uintptr_t)arena_printf(p->a, "berth %s", p->command).p;
    error_t code = argp_parse(&argp, argc, argv, ARGP_NO_HELP | ARGP_NO_EXIT, NULL, p);
    return code || p->failed ? -1 : 0;
}

/* ---- the configuration file ---- */

static int apply_value(struct parse *p, const char *where, const struct setting *s, yyjson_val *v)
{
    if (s->type == TYPE_LIST && yyjson_is_arr(v)) {
        JSON_EACH(it, v)
        {
            if (apply(p, where, s, json_str(it.val)) != 0) {
                return -1;
            }
        }
        return 0;
    }
    if (yyjson_is_ctn(v) || yyjson_is_null(v)) {
        return complain(p, where, s->name, json_write(p->a, v), "must be a single value");
    }
    return apply(p, where, s, yyjson_is_str(v) ? json_str(v) : json_write(p->a, v));
}

static int apply_file(struct parse *p, const yyjson_val *root)
{
    const char *where = arena_printf(p->a, "%.*s: ", SPAN_ARG(p->o->config)).p;
    JSON_EACH(it, root)
    {
        size_t i = 0;
        while (i < SETTINGS && !(settings[i].groups & OPTIONS_SERVER &&
                                 span_eq_cstr(json_str(it.key), settings[i].name))) {
            i++;
        }
        if (i == SETTINGS || settings[i].offset == offsetof(struct options, config)) {
            return complain(p, where, "setting", json_str(it.key),
                            "is unknown; `berth server --help` lists them");
        }
        if (!p->given[i] && apply_value(p, where, &settings[i], it.val) != 0) {
            return -1;
        }
    }
    return 0;
}

enum { CONFIG_BYTES_MAX = 256 * 1024 };

static int complain_file(struct parse *p, const char *path, bool optional, const char *what,
                         struct span why)
{
    return complain(p, optional ? "" : "--", optional ? "the server's settings in" : "config",
                    span_cstr(path), arena_printf(p->a, "%s%.*s", what, SPAN_ARG(why)).p);
}

/* optional: what a server has left, if one has. */
static int read_config(struct parse *p, const char *path, bool optional)
{
    FILE *f cleanup_fclose = fopen(path, "re");
    if (!f && optional && errno == ENOENT) {
        return 0;
    }
    p->o->config = span_cstr(path);
    char *text = arena_alloc_raw(p->a, CONFIG_BYTES_MAX + 1);
    size_t n = f ? fread(text, 1, CONFIG_BYTES_MAX + 1, f) : 0;
    if (!f || ferror(f)) {
        return complain_file(p, path, optional, "cannot be read: ",
                             arena_printf(p->a, "%s%s", strerror(errno),
                                          errno == EACCES ? "; run this as root" : ""));
    }
    if (n > CONFIG_BYTES_MAX) {
        return complain_file(p, path, optional, "is larger than 256 KiB", SPAN_NULL);
    }
    struct err e = {0};
    yyjson_val *root = yaml_parse(p->a, span_of(text, n), &e);
    if (!root) {
        return complain_file(p, path, optional, "is no YAML: ", e.message);
    }
    if (yyjson_is_null(root)) {
        return 0; /* nothing but comments */
    }
    if (!yyjson_is_obj(root)) {
        return complain_file(p, path, optional,
                             "must hold one mapping of settings, such as `verbosity: 2`",
                             SPAN_NULL);
    }
    return apply_file(p, root);
}

/* ---- what follows from other settings ---- */

/* First and last address of a range that check_cidr has let pass. */
static void range_of(struct arena *a, struct span cidr, uint32_t *first, uint32_t *last)
{
    struct in_addr addr = {0};
    int64_t bits = 0;
    int ok = inet_pton(AF_INET, arena_cstr(a, span_cut(&cidr, '/')), &addr);
    bool is_number = span_to_i64(cidr, &bits);
    assert(ok == 1);
    assert(is_number);
    assert(bits >= 8);
    assert(bits <= 28);
    uint32_t hosts = UINT32_MAX >> bits;
    *first = ntohl(addr.s_addr) & ~hosts;
    *last = *first | hosts;
}

static int check_ranges(struct parse *p)
{
    uint32_t pods, pods_last, services, services_last;
    struct in_addr dns = {0};
    range_of(p->a, p->o->cluster_cidr, &pods, &pods_last);
    range_of(p->a, p->o->service_cidr, &services, &services_last);
    if (pods <= services_last && services <= pods_last) {
        return complain(p, "--", "service-cidr", p->o->service_cidr,
                        arena_printf(p->a, "and --cluster-cidr \"%.*s\" overlap; give ranges apart",
                                     SPAN_ARG(p->o->cluster_cidr))
                            .p);
    }
    if (inet_pton(AF_INET, arena_cstr(p->a, p->o->cluster_dns), &dns) != 1 ||
        ntohl(dns.s_addr) <= services + 1 || ntohl(dns.s_addr) >= services_last) {
        return complain(p, "--", "cluster-dns", p->o->cluster_dns,
                        arena_printf(p->a,
                                     "is no free address of --service-cidr \"%.*s\" (its first is "
                                     "the API's)",
                                     SPAN_ARG(p->o->service_cidr))
                            .p);
    }
    return 0;
}

static int check_thresholds(struct parse *p)
{
    const struct options *o = p->o;
    if (o->image_low_percent > o->image_high_percent) {
        return complain(p, "--", "image-gc-low-threshold",
                        arena_printf(p->a, "%lld", (long long)o->image_low_percent),
                        arena_printf(p->a,
                                     "is above --image-gc-high-threshold %lld; give a smaller one",
                                     (long long)o->image_high_percent)
                            .p);
    }
    return 0;
}

static int fill_in(struct parse *p)
{
    struct options *o = p->o;
    if (check_thresholds(p) != 0) {
        return -1;
    }
    if (p->groups & (OPTIONS_SERVER | OPTIONS_STOP) && check_ranges(p) != 0) {
        return -1;
    }
    if (o->data_dir.p[0] != '/') {
        char cwd[4096];
        if (!getcwd(cwd, sizeof cwd)) {
            return complain(p, "--", "data-dir", o->data_dir,
                            "is relative to a directory that is gone");
        }
        o->data_dir = arena_printf(p->a, "%s/%.*s", cwd, SPAN_ARG(o->data_dir));
    }
    if (o->write_kubeconfig.n == 0) {
        o->write_kubeconfig = arena_printf(p->a, "%.*s/kubeconfig", SPAN_ARG(o->data_dir));
    }
    if (o->node_name.n == 0) {
        char host[256] = "node";
        (void)gethostname(host, sizeof host - 1);
        for (char *c = host; *c; c++) {
            *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c == '_' ? '-' : *c;
        }
        o->node_name = arena_dup(p->a, span_cstr(host));
        if (check_domain(p->a, o->node_name)) {
            return complain(p, "", "host name", o->node_name,
                            "is no node name; give one with --node-name");
        }
    }
    return 0;
}

/* What the server's network was made with, for a `berth stop` when it no longer runs, and where its
 * API is: the configuration file's own form. */
static const char *remembered(struct arena *a, const struct options *o)
{
    return arena_printf(a, "%.*s/network.yaml", SPAN_ARG(o->data_dir)).p;
}

int options_remember(struct arena *a, const struct options *o)
{
    assert(o);
    struct strbuf text cleanup_strbuf = STRBUF_INIT;
    for (size_t i = 0; i < SETTINGS; i++) {
        const void *value = (const char *)o + settings[i].offset;
        if (!(settings[i].groups & REMEMBERED) || !(settings[i].groups & OPTIONS_SERVER) ||
            settings[i].groups & OPTIONS_COMMON) {
            continue;
        }
        if (settings[i].type == TYPE_PORT) {
            strbuf_printf(&text, "%s: %u\n", settings[i].name, *(const uint16_t *)value);
        } else {
            assert(settings[i].type == TYPE_TEXT);
            strbuf_printf(&text, "%s: \"%.*s\"\n", settings[i].name,
                          SPAN_ARG(*(const struct span *)value));
        }
    }
    return os_fs_write_atomic(remembered(a, o), strbuf_span(&text), 0600, false);
}

int options_parse(struct arena *a, unsigned groups, const char *command, int argc, char **argv,
                  struct options *ret)
{
    *ret = (struct options){0};
    struct parse p = {.a = a, .groups = groups, .command = command, .o = ret};
    p.args = ARENA_ARRAY(a, const char *, (size_t)argc + 1);
    for (size_t i = 0; i < sizeof usages / sizeof *usages; i++) {
        p.usage = strcmp(usages[i].command, command) == 0 ? &usages[i] : p.usage;
    }
    assert(p.usage);
    for (size_t i = 0; i < SETTINGS; i++) {
        if (settings[i].initial) {
            int code = apply(&p, "", &settings[i], span_cstr(settings[i].initial));
            assert(code == 0);
        }
    }
    if (run_argp(&p, argc, argv) != 0) {
        return -1;
    }
    if (p.help) {
        return 1;
    }
    if (ret->config.n && read_config(&p, ret->config.p, false) != 0) {
        return -1;
    }
    if (groups & REMEMBERED && read_config(&p, remembered(a, ret), true) != 0) {
        return -1;
    }
    ret->args = p.args;
    ret->arg_count = p.arg_count;
    return fill_in(&p);
}
