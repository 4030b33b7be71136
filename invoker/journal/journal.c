#include "invoker/journal/journal.h"

#include "common/base/disk.h"
#include "common/base/err.h"
#include "invoker/journal/journal_format.h"
#include "invoker/journal/journal_index.h"

enum {
    PATH_MAX_BYTES = 4096,
    MIN_FILE_BYTES = 64 << 10,
    BUFFER_BYTES = 64 << 10,
    FILES = 2,
};

struct inv_journal {
    const struct cw_disk *disk;
    char *paths[FILES];
    char *topic;
    size_t file_bytes;
    bool sync;
    int fds[FILES];
    unsigned active; /* file that is written */
    uint64_t generation;
    uint64_t identity;
    bool has_commits;
    struct inv_journal_commits commits;
    size_t at; /* where the active file goes on */
    struct journal_index index;
    bool stale; /* the buffer ran over: the active file does not tell all, copy it */
    size_t buffered;
    unsigned char *buffer; /* BUFFER_BYTES */
};

/* ---- reading ---- */

static void change(struct journal_index *x, struct inv_journal_entry *known,
                   const struct inv_journal_entry *record)
{
    if (record->state == INV_JOURNAL_FORWARDED)
        journal_decode_peer(record->id, &known->peer);
    known->came_back |= record->came_back;
    journal_index_mark(x, known, record->state);
}

static void replay(struct inv_journal *j, unsigned state, struct inv_journal_entry *entry)
{
    struct inv_journal_entry *known = journal_index_find(&j->index, entry->offset);
    struct inv_journal_commits commits;

    switch (state) {
    case JOURNAL_BASE:
        (void)journal_index_base(&j->index, entry->offset);
        return;
    case JOURNAL_NEXT:
        if (journal_decode_commits(entry->id, &commits)) {
            j->commits = commits;
            j->has_commits = true;
        } else if (entry->offset > j->index.next)
            j->index.next = entry->offset;
        return;
    default:
        break;
    }
    entry->state = state;
    if (known)
        change(&j->index, known, entry);
    else if (state == INV_JOURNAL_DONE)
        journal_index_last(&j->index, entry); /* of a copy */
    else if (state != INV_JOURNAL_FORWARDED)  /* has no id, and one with it goes before */
        journal_index_add(&j->index, entry);
}

/* Everything up to the first record that is none. */
static int read_records(struct inv_journal *j, unsigned file, struct cw_err *err)
{
    size_t at = JOURNAL_HEADER_BYTES;
    struct inv_journal_entry entry;
    unsigned state;

    for (;;) {
        size_t room = j->file_bytes - at < BUFFER_BYTES ? j->file_bytes - at : BUFFER_BYTES;
        ssize_t got = cw_disk_read_all(j->disk, j->fds[file], j->buffer, room, (int64_t)at);

        if (got < 0)
            return cw_fail_errno(err, (int)-got, "journal %s", j->paths[file]);
        for (size_t i = 0; i + JOURNAL_RECORD_BYTES <= (size_t)got; i += JOURNAL_RECORD_BYTES) {
            if (!journal_decode_record(j->generation, j->buffer + i, &state, &entry))
                return 0;
            replay(j, state, &entry);
        }
        at += (size_t)got;
        if ((size_t)got < BUFFER_BYTES)
            return 0;
    }
}

/* The newer of the two, if it is of our topic. */
static int read_all(struct inv_journal *j, struct cw_err *err)
{
    unsigned char bytes[JOURNAL_HEADER_BYTES];
    struct journal_header header;
    int newest = -1;

    for (unsigned i = 0; i < FILES; i++) {
        ssize_t got = cw_disk_read_all(j->disk, j->fds[i], bytes, sizeof(bytes), 0);

        if (got < 0)
            return cw_fail_errno(err, (int)-got, "journal %s", j->paths[i]);
        if ((size_t)got == sizeof(bytes) && journal_later_format(bytes))
            return cw_fail(err, CW_INVALID,
                           "journal %s: format %02u is a later version's; accepted: 01",
                           j->paths[i], journal_later_format(bytes));
        if ((size_t)got < sizeof(bytes) || !journal_decode_header(bytes, &header) ||
            header.generation <= j->generation)
            continue;
        j->generation = header.generation;
        j->active = i;
        newest = cw_slice_is(header.topic, j->topic) ? (int)i : -1;
        if (newest >= 0 && header.identity)
            j->identity = header.identity;
    }
    return newest < 0 ? 0 : read_records(j, (unsigned)newest, err);
}

/* ---- writing ---- */

static int write_full(const struct inv_journal *j, unsigned file, const void *p, size_t n,
                      size_t at, struct cw_err *err)
{
    struct iovec iov = {(void *)(uintptr_t)p, n};
    int code = cw_disk_write_all(j->disk, j->fds[file], &iov, 1, (int64_t)at);

    return code < 0 ? cw_fail_errno(err, -code, "journal %s", j->paths[file]) : 0;
}

static int sync_file(const struct inv_journal *j, unsigned file, struct cw_err *err)
{
    int code = j->sync ? j->disk->sync(j->disk, j->fds[file]) : 0;

    return code < 0 ? cw_fail_errno(err, -code, "journal %s", j->paths[file]) : 0;
}

static const unsigned char NO_ID[INV_JOURNAL_ID_LEN];

static unsigned with_flags(const struct inv_journal_entry *entry, enum inv_journal_state state)
{
    bool back = state == INV_JOURNAL_TAKEN && entry->came_back;

    return state | (back ? JOURNAL_CAME_BACK : 0U);
}

/* The offset is for an earlier version's reader, to whom it says nothing new. */
static void encode_commits(const struct inv_journal *j, uint64_t generation,
                           unsigned char ret[JOURNAL_RECORD_BYTES])
{
    unsigned char id[INV_JOURNAL_ID_LEN];

    journal_encode_commits(&j->commits, id);
    journal_encode_record(generation, JOURNAL_NEXT, j->index.next > 0 ? j->index.next : 0, id, ret);
}

/* What was forwarded takes two: one has the id, the other the peer. Returns how many. */
static size_t encode_entry(const struct inv_journal_entry *entry, uint64_t generation,
                           unsigned char *out)
{
    unsigned char peer[INV_JOURNAL_ID_LEN];

    if (entry->state != INV_JOURNAL_FORWARDED) {
        journal_encode_record(generation, with_flags(entry, entry->state), entry->offset, entry->id,
                              out);
        return 1;
    }
    journal_encode_peer(&entry->peer, peer);
    journal_encode_record(generation, INV_JOURNAL_TAKEN, entry->offset, entry->id, out);
    journal_encode_record(generation, INV_JOURNAL_FORWARDED, entry->offset, peer,
                          out + JOURNAL_RECORD_BYTES);
    return 2;
}

static size_t encode_entries(struct inv_journal *j, uint64_t generation, size_t count,
                             const struct inv_journal_entry *undone, unsigned char *out)
{
    const struct journal_index *x = &j->index;
    size_t n = 0;

    if (x->next < 0)
        return 0;
    journal_encode_record(generation, JOURNAL_BASE, journal_index_low(x), NO_ID, out);
    n++;
    for (size_t i = 0; i < count; i++)
        n += encode_entry(&undone[i], generation, out + JOURNAL_RECORD_BYTES * n);
    if (count && undone[count - 1].offset + 1 == x->next)
        return n;
    if (x->has_last && x->next > 0)
        journal_encode_record(generation, INV_JOURNAL_DONE, x->next - 1, x->last_id,
                              out + JOURNAL_RECORD_BYTES * n++);
    else
        journal_encode_record(generation, JOURNAL_NEXT, x->next, NO_ID,
                              out + JOURNAL_RECORD_BYTES * n++);
    return n;
}

/* What a copy holds besides its header. */
static size_t encode_copy(struct inv_journal *j, uint64_t generation, unsigned char **ret)
{
    size_t count, n;
    const struct inv_journal_entry *undone = journal_index_undone(&j->index, &count);

    *ret = cw_calloc(2 * count + 3, JOURNAL_RECORD_BYTES);
    n = encode_entries(j, generation, count, undone, *ret);
    if (j->has_commits)
        encode_commits(j, generation, *ret + JOURNAL_RECORD_BYTES * n++);
    return n * JOURNAL_RECORD_BYTES;
}

/* What is not done goes to the other file, which then is the one. Includes all that is buffered. */
static int copy(struct inv_journal *j, struct cw_err *err)
{
    unsigned other = j->active ^ 1;
    uint64_t generation = j->generation + 1;
    const struct journal_header fields = {
        .generation = generation, .identity = j->identity, .topic = cw_slice_of(j->topic)};
    unsigned char header[JOURNAL_HEADER_BYTES];
    cw_auto_free unsigned char *records = NULL;
    size_t n = encode_copy(j, generation, &records);

    if (JOURNAL_HEADER_BYTES + n + BUFFER_BYTES > j->file_bytes)
        return cw_fail(err, CW_TOO_LARGE, "journal %s: %zu records of undone work: room for %zu",
                       j->paths[other], n / JOURNAL_RECORD_BYTES,
                       (j->file_bytes - JOURNAL_HEADER_BYTES - BUFFER_BYTES) /
                           JOURNAL_RECORD_BYTES);
    journal_encode_header(&fields, header);
    if (write_full(j, other, records, n, JOURNAL_HEADER_BYTES, err) != 0 ||
        sync_file(j, other, err) != 0 ||
        write_full(j, other, header, sizeof(header), 0, err) != 0 || sync_file(j, other, err) != 0)
        return -1;
    j->active = other;
    j->generation = generation;
    j->at = JOURNAL_HEADER_BYTES + n;
    j->buffered = 0;
    j->stale = false;
    return 0;
}

int inv_journal_flush(struct inv_journal *j, struct cw_err *err)
{
    if (j->stale || j->at + j->buffered > j->file_bytes)
        return copy(j, err);
    if (j->buffered == 0)
        return 0;
    if (write_full(j, j->active, j->buffer, j->buffered, j->at, err) != 0 ||
        sync_file(j, j->active, err) != 0)
        return -1;
    j->at += j->buffered;
    j->buffered = 0;
    return 0;
}

static void append(struct inv_journal *j, unsigned state, int64_t offset,
                   const unsigned char id[INV_JOURNAL_ID_LEN])
{
    struct cw_err ignored = {0};

    if (j->stale) /* the copy will have it */
        return;
    if (j->buffered + JOURNAL_RECORD_BYTES > BUFFER_BYTES && inv_journal_flush(j, &ignored) != 0) {
        j->stale = true; /* whoever needs it kept flushes, and hears of it */
        return;
    }
    journal_encode_record(j->generation, state, offset, id, j->buffer + j->buffered);
    j->buffered += JOURNAL_RECORD_BYTES;
}

/* ---- the life of a message ---- */

void inv_journal_taken(struct inv_journal *j, int64_t offset,
                       const unsigned char id[INV_JOURNAL_ID_LEN])
{
    struct inv_journal_entry entry = {.offset = offset, .state = INV_JOURNAL_TAKEN, .held = true};

    if (offset < j->index.next)
        return; /* read again after a seek: it is in the books */
    memcpy(entry.id, id, sizeof(entry.id));
    append(j, INV_JOURNAL_TAKEN, offset, id);
    journal_index_add(&j->index, &entry);
}

/* Entries may move when the buffer runs over. */
static void note_as(struct inv_journal *j, int64_t offset, unsigned record,
                    const unsigned char id[INV_JOURNAL_ID_LEN])
{
    append(j, record, offset, id);
    journal_index_mark(&j->index, journal_index_find(&j->index, offset),
                       (enum inv_journal_state)(record & ~(unsigned)JOURNAL_CAME_BACK));
}

static void note(struct inv_journal *j, const struct inv_journal_entry *entry,
                 enum inv_journal_state state)
{
    unsigned char id[INV_JOURNAL_ID_LEN];

    memcpy(id, entry->id, sizeof(id));
    note_as(j, entry->offset, with_flags(entry, state), id);
}

int inv_journal_mark(struct inv_journal *j, int64_t offset, enum inv_journal_state state,
                     struct cw_err *err)
{
    struct inv_journal_entry *entry = journal_index_find(&j->index, offset);

    if (!entry || entry->state == state)
        return 0;
    note(j, entry, state);
    return state == INV_JOURNAL_DONE ? 0 : inv_journal_flush(j, err);
}

void inv_journal_forwarded(struct inv_journal *j, int64_t offset,
                           const struct inv_journal_peer *peer)
{
    struct inv_journal_entry *entry = journal_index_find(&j->index, offset);
    unsigned char id[INV_JOURNAL_ID_LEN];

    if (!entry)
        return;
    entry->peer = *peer;
    journal_encode_peer(peer, id);
    note_as(j, offset, INV_JOURNAL_FORWARDED, id);
}

void inv_journal_returned(struct inv_journal *j, int64_t offset)
{
    struct inv_journal_entry *entry = journal_index_find(&j->index, offset);

    if (!entry || (!entry->held && entry->state != INV_JOURNAL_FORWARDED))
        return;
    entry->came_back = true;
    note(j, entry, INV_JOURNAL_TAKEN);
}

void inv_journal_settle(struct inv_journal *j, int64_t offset, enum inv_journal_part part)
{
    struct inv_journal_entry *entry = journal_index_find(&j->index, offset);

    if (!entry)
        return;
    entry->settled |= (unsigned char)part;
    if (entry->settled == INV_JOURNAL_WHOLE)
        note(j, entry, INV_JOURNAL_DONE);
}

struct inv_journal_entry *inv_journal_find(struct inv_journal *j, int64_t offset)
{
    return journal_index_find(&j->index, offset);
}

bool inv_journal_anchor(const struct inv_journal *j, struct inv_journal_entry *ret)
{
    const struct journal_index *x = &j->index;

    if (x->first < x->end) {
        *ret = x->entries[x->first];
        return true;
    }
    *ret = (struct inv_journal_entry){.offset = x->next - 1, .state = INV_JOURNAL_DONE};
    memcpy(ret->id, x->last_id, sizeof(ret->id));
    return x->has_last;
}

size_t inv_journal_drop_below(struct inv_journal *j, int64_t offset)
{
    append(j, JOURNAL_BASE, offset, NO_ID);
    return journal_index_base(&j->index, offset);
}

void inv_journal_rewind(struct inv_journal *j, int64_t offset)
{
    journal_index_rewind(&j->index, offset);
    j->buffered = 0;
    j->stale = true; /* records cannot be taken back: the next flush copies */
}

const struct inv_journal_entry *inv_journal_undone(struct inv_journal *j, size_t *count)
{
    return journal_index_undone(&j->index, count);
}

int64_t inv_journal_low(const struct inv_journal *j)
{
    return journal_index_low(&j->index);
}

size_t inv_journal_count(const struct inv_journal *j)
{
    return journal_index_count(&j->index);
}

int64_t inv_journal_next(const struct inv_journal *j)
{
    return j->index.next;
}

void inv_journal_forget(struct inv_journal *j)
{
    journal_index_clear(&j->index);
    j->buffered = 0;
    j->stale = true;
}

/* ---- commits ---- */

uint64_t inv_journal_identity(const struct inv_journal *j)
{
    return j->identity;
}

bool inv_journal_commits(const struct inv_journal *j, struct inv_journal_commits *ret)
{
    *ret = j->commits;
    return j->has_commits;
}

void inv_journal_note_commits(struct inv_journal *j, const struct inv_journal_commits *commits)
{
    unsigned char id[INV_JOURNAL_ID_LEN];

    if (j->has_commits && j->commits.low == commits->low && j->commits.high == commits->high)
        return;
    j->commits = *commits;
    j->has_commits = true;
    journal_encode_commits(commits, id);
    append(j, JOURNAL_NEXT, j->index.next > 0 ? j->index.next : 0, id);
}

void inv_journal_served(struct inv_journal *j, const struct inv_journal_commits *from, int64_t end,
                        struct inv_journal_served *ret)
{
    journal_index_served(&j->index, from, end, ret);
    j->buffered = 0;
    j->stale = true; /* a copy counts as a whole, or not at all */
}

/* ---- opening ---- */

static int open_files(struct inv_journal *j, const struct inv_journal_conf *conf,
                      struct cw_err *err)
{
    for (unsigned i = 0; i < FILES; i++) {
        struct cw_str path;

        cw_str_init(&path, PATH_MAX_BYTES);
        cw_str_addf(&path, "%s/%s.journal.%u", conf->dir, conf->name, i);
        j->paths[i] = cw_str_steal(&path);
        j->fds[i] = j->disk->open(j->disk, j->paths[i], j->file_bytes);
        if (j->fds[i] < 0)
            return cw_fail_errno(err, -j->fds[i], "journal %s", j->paths[i]);
    }
    return 0;
}

struct inv_journal *inv_journal_open(const struct inv_journal_conf *conf, struct cw_err *err)
{
    struct inv_journal *j;

    if (conf->file_bytes < 2 * MIN_FILE_BYTES) {
        (void)cw_fail(err, CW_INVALID, "journal: files of %zu bytes: expected at least %d",
                      conf->file_bytes, 2 * MIN_FILE_BYTES);
        return NULL;
    }
    j = cw_alloc(sizeof(*j));
    j->disk = conf->disk;
    j->topic = cw_strdup(conf->topic);
    j->file_bytes = conf->file_bytes / JOURNAL_RECORD_BYTES * JOURNAL_RECORD_BYTES;
    j->sync = conf->sync;
    j->identity = conf->identity;
    j->buffer = cw_realloc(NULL, BUFFER_BYTES);
    j->fds[0] = j->fds[1] = -1;
    journal_index_init(&j->index);
    /* Always into the other file: behind a torn record there may be more of its generation. */
    if (open_files(j, conf, err) == 0 && read_all(j, err) == 0 && copy(j, err) == 0)
        return j;
    j->buffered = 0;
    inv_journal_close(j);
    return NULL;
}

void inv_journal_close(struct inv_journal *j)
{
    struct cw_err ignored = {0};

    if (!j)
        return;
    if ((j->buffered || j->stale) && inv_journal_flush(j, &ignored) != 0)
        j->buffered = 0; /* the successor does again what this would have told it is done */
    for (unsigned i = 0; i < FILES; i++) {
        if (j->fds[i] >= 0)
            j->disk->close(j->disk, j->fds[i]);
        free(j->paths[i]);
    }
    journal_index_done(&j->index);
    free(j->buffer);
    free(j->topic);
    free(j);
}
