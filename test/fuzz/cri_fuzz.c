/* Container log entries and probes' HTTP answers: any bytes are parsed without harm; printing never
 * consumes more than it was given and never exceeds the limit. */
#include "base/check.h"
#include "kubelet/kubelet_check.h"
#include "kubelet/kubelet_cri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of(data, size);
    struct cri_line line;
    (void)kubelet_cri_parse(text, &line);
    int status = kubelet_check_http_status(text);
    assert(status == -1 || (status >= 100 && status <= 599));
    for (int timestamps = 0; timestamps < 2; timestamps++) {
        struct strbuf out cleanup_strbuf = STRBUF_INIT;
        struct cri_filter f = {.left_bytes = timestamps ? 10 : -1, .timestamps = timestamps};
        size_t used = kubelet_cri_print(&f, text, &out);
        assert(used <= size);
        assert(!timestamps || out.n <= 10);
    }
    return 0;
}
