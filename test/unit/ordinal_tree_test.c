/* test/unit/ordinal_tree_test.c: the tree answers as an array does, whatever its height. */
#include "plan/ordinal_tree.h"

#include <stdlib.h>

#include "base/mem.h"
#include "kit/kit.h"

/* Ordinals of a world: dense ones, node borders, and high ones. */
enum { WORLD = 14 };
static const int32_t worlds[][WORLD] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13},
    {0, 1, 62, 63, 64, 65, 127, 128, 129, 4094, 4095, 4096, 4097, 8192},
    {0, 63, 64, 4095, 4096, 262143, 262144, 16777215, 16777216, 1073741823, 1073741824,
     INT32_MAX - 64, INT32_MAX - 1, INT32_MAX}};

struct model {
    struct ordinal_tree tree;
    const int32_t *at;
    struct ordinal_entry *entry[WORLD];
};

static int find(const struct model *m, int64_t ordinal)
{
    for (int i = 0; i < WORLD; i++) {
        if (m->at[i] == ordinal) {
            return i;
        }
    }
    return -1;
}

static bool there(const struct model *m, int64_t ordinal)
{
    int i = find(m, ordinal);
    return i >= 0 && m->entry[i];
}

static void check_mark(const struct model *m, int mark, int64_t from)
{
    int32_t count = 0, count_from = 0;
    int64_t first = -1, last = -1;
    for (int i = 0; i < WORLD; i++) {
        if (!m->entry[i] || !(m->entry[i]->marks >> mark & 1)) {
            continue;
        }
        count++;
        count_from += m->at[i] >= from;
        first = first < 0 && m->at[i] >= from ? m->at[i] : first;
        last = m->at[i] <= from ? m->at[i] : last;
    }
    CHECK_EQ(ordinal_tree_count(&m->tree, mark), count);
    CHECK_EQ(ordinal_tree_count_from(&m->tree, mark, from), count_from);
    CHECK_EQ(ordinal_tree_first(&m->tree, mark, from), first);
    CHECK_EQ(ordinal_tree_last(&m->tree, mark, from), last);
}

static void check_all(const struct model *m)
{
    for (int i = 0; i < WORLD; i++) {
        for (int64_t from = (int64_t)m->at[i] - 1; from <= (int64_t)m->at[i] + 1; from++) {
            int64_t up = from < 0 ? 0 : from, down = from;
            for (int mark = 0; mark < 3; mark++) {
                check_mark(m, mark, from);
            }
            while (there(m, up)) {
                up++;
            }
            while (down >= 0 && there(m, down)) {
                down--;
            }
            CHECK_EQ(ordinal_tree_first_gap(&m->tree, from < 0 ? 0 : from), up);
            CHECK_EQ(ordinal_tree_last_gap(&m->tree, from), down);
        }
        CHECK(ordinal_tree_get(&m->tree, m->at[i]) == m->entry[i]);
    }
    CHECK(!ordinal_tree_get(&m->tree, -1));
}

static void change(struct model *m, int i)
{
    uint32_t marks = 1 | (uint32_t)(kit_random() % 4) << 1;
    if (!m->entry[i]) {
        m->entry[i] = MEM_NEW(struct ordinal_entry);
        *m->entry[i] = (struct ordinal_entry){m->at[i], marks};
        ordinal_tree_add(&m->tree, m->entry[i]);
    } else if (kit_random() % 2) {
        ordinal_tree_mark(&m->tree, m->entry[i], marks);
    } else {
        ordinal_tree_remove(&m->tree, m->entry[i]);
        free(m->entry[i]);
        m->entry[i] = NULL;
    }
}

static void entry_free(struct ordinal_entry *e)
{
    free(e);
}

TEST(a_tree_answers_as_an_array_does)
{
    for (size_t w = 0; w < sizeof worlds / sizeof *worlds; w++) {
        struct model m = {.at = worlds[w]};
        check_all(&m);
        for (int step = 0; step < 400; step++) {
            change(&m, (int)(kit_random() % WORLD));
            check_all(&m);
        }
        ordinal_tree_done(&m.tree, entry_free);
    }
}

TEST(a_full_tree_has_its_gaps_outside)
{
    struct ordinal_tree t = {0};
    for (int32_t i = 0; i < 64 * 64; i++) {
        struct ordinal_entry *e = MEM_NEW(struct ordinal_entry);
        *e = (struct ordinal_entry){i, 1};
        ordinal_tree_add(&t, e);
    }
    CHECK_EQ(ordinal_tree_first_gap(&t, 0), 64 * 64);
    CHECK_EQ(ordinal_tree_first_gap(&t, 100), 64 * 64);
    CHECK_EQ(ordinal_tree_last_gap(&t, 64 * 64 - 1), -1);
    CHECK_EQ(ordinal_tree_last_gap(&t, 64 * 64), 64 * 64);
    CHECK_EQ(ordinal_tree_last_gap(&t, -1), -1);
    ordinal_tree_done(&t, entry_free);
}
