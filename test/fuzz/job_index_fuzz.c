/* The numbers of an indexed job as text, the first byte choosing how many there are; what is read
 * prints to text that reads as the same, and a set and what it lacks are everything. */
#include "base/check.h"
#include "plan/job_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a cleanup_arena = arena_new();
    int32_t completions = size && data[0] % 4 ? data[0] % 100 : INT32_MAX, lacks[100];
    struct span text = span_of(data + (size > 0), size - (size > 0)), part;
    struct job_indexes set = job_indexes_parse(a, text, completions);
    struct span shown = job_indexes_text(a, set);
    struct job_indexes again = job_indexes_parse(a, shown, completions);
    assert(span_eq(shown, job_indexes_text(a, again)));
    assert(job_indexes_count(job_indexes_union(a, set, again)) == job_indexes_count(set));
    assert(job_indexes_common(set, again) == job_indexes_count(set));
    size_t n = job_indexes_free(set, completions, 100, lacks);
    for (size_t i = 0; i < n; i++) {
        assert(lacks[i] < completions && !job_indexes_has(set, lacks[i]));
    }
    assert(completions == INT32_MAX || (int64_t)n + job_indexes_count(set) == completions);
    (void)job_indexes_check(text, completions, &part);
    return 0;
}
