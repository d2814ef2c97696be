/* CRC64NVME at the speed of memory: reflected, by tables, or by carry-less multiplication where
 * the processor has it. Python asks for it as `crc64nvme(data, before=0)`; store/checksums.py goes
 * without it where nobody could compile it. */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#define POLYNOMIAL UINT64_C(0x9A6C9329AC4BC9B5)
#define SLICES 8
#define WORTH_A_THREAD 16384 /* bytes for which others may run meanwhile */

static uint64_t table[SLICES][256];

static void make_tables(void)
{
    for (int byte = 0; byte < 256; byte++) {
        uint64_t value = (uint64_t)byte;
        for (int bit = 0; bit < 8; bit++)
            value = value >> 1 ^ (value & 1 ? POLYNOMIAL : 0);
        table[0][byte] = value;
    }
    for (int slice = 1; slice < SLICES; slice++)
        for (int byte = 0; byte < 256; byte++) {
            uint64_t value = table[slice - 1][byte];
            table[slice][byte] = value >> 8 ^ table[0][value & 0xff];
        }
}

static uint64_t read_word(const unsigned char *data)
{
    uint64_t word = 0;
    for (int byte = 7; byte >= 0; byte--)
        word = word << 8 | data[byte];
    return word;
}

static uint64_t by_tables(uint64_t crc, const unsigned char *data, size_t size)
{
    for (; size >= SLICES; data += SLICES, size -= SLICES) {
        uint64_t word = crc ^ read_word(data);
        crc = 0;
        for (int slice = 0; slice < SLICES; slice++)
            crc ^= table[SLICES - 1 - slice][word >> 8 * slice & 0xff];
    }
    while (size--)
        crc = crc >> 8 ^ table[0][(crc ^ *data++) & 0xff];
    return crc;
}

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define LANES 4
#define BLOCK (LANES * 16)

static int has_multiplication;
static uint64_t over_all[2], over_one[2]; /* what moves a lane behind all lanes, and behind one */

/* x to a power, modulo the polynomial; bit 63 stands for x to the power of 0 */
static uint64_t power(int exponent)
{
    uint64_t value = UINT64_C(1) << 63;
    while (exponent--)
        value = value >> 1 ^ (value & 1 ? POLYNOMIAL : 0);
    return value;
}

/* One less each: a product of two such numbers has one bit too few. */
static void make_constants(void)
{
    has_multiplication = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
    over_all[0] = power(8 * BLOCK + 63);
    over_all[1] = power(8 * BLOCK - 1);
    over_one[0] = power(128 + 63);
    over_one[1] = power(128 - 1);
}

__attribute__((target("pclmul,sse4.1"))) static __m128i fold(__m128i lane, __m128i by, __m128i next)
{
    __m128i low = _mm_clmulepi64_si128(lane, by, 0x00);
    __m128i high = _mm_clmulepi64_si128(lane, by, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

__attribute__((target("pclmul,sse4.1"))) static uint64_t
by_multiplication(uint64_t crc, const unsigned char *data, size_t size)
{
    __m128i lanes[LANES], by = _mm_loadu_si128((const __m128i *)over_all);
    unsigned char rest[16];
    for (int lane = 0; lane < LANES; lane++)
        lanes[lane] = _mm_loadu_si128((const __m128i *)data + lane);
    lanes[0] = _mm_xor_si128(lanes[0], _mm_set_epi64x(0, (long long)crc));
    for (data += BLOCK, size -= BLOCK; size >= BLOCK; data += BLOCK, size -= BLOCK)
        for (int lane = 0; lane < LANES; lane++)
            lanes[lane] = fold(lanes[lane], by, _mm_loadu_si128((const __m128i *)data + lane));
    by = _mm_loadu_si128((const __m128i *)over_one);
    for (int lane = 1; lane < LANES; lane++)
        lanes[lane] = fold(lanes[lane - 1], by, lanes[lane]);
    _mm_storeu_si128((__m128i *)rest, lanes[LANES - 1]);
    return by_tables(by_tables(0, rest, sizeof rest), data, size);
}
#endif

static uint64_t update(uint64_t crc, const unsigned char *data, size_t size)
{
#ifdef BLOCK
    if (has_multiplication && size >= 2 * BLOCK)
        return by_multiplication(crc, data, size);
#endif
    return by_tables(crc, data, size);
}

static PyObject *crc64nvme(PyObject *module, PyObject *arguments)
{
    Py_buffer data;
    unsigned long long before = 0;
    uint64_t crc;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "y*|K", &data, &before))
        return NULL;
    if (data.len >= WORTH_A_THREAD) {
        Py_BEGIN_ALLOW_THREADS
        crc = ~update(~(uint64_t)before, data.buf, (size_t)data.len);
        Py_END_ALLOW_THREADS
    } else {
        crc = ~update(~(uint64_t)before, data.buf, (size_t)data.len);
    }
    PyBuffer_Release(&data);
    return PyLong_FromUnsignedLongLong(crc);
}

static PyMethodDef functions[] = {
    {"crc64nvme", crc64nvme, METH_VARARGS, "Return the checksum of data, after that of what was before."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_crc64", "CRC64NVME, fast.", 0, functions, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__crc64(void)
{
    make_tables();
#ifdef BLOCK
    make_constants();
#endif
    return PyModuleDef_Init(&definition);
}
