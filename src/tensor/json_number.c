/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of a text that was scanned, to doubles, rounded correctly.
 *
 * A decimal m * 10^e with at most 19 digits is converted exactly in one of three
 * ways, by what it needs: m and 10^|e| both doubles without error, then one
 * operation rounds (Clinger 1990); |e| up to 27, then 10^|e| = 5^|e| * 2^|e| and 5^27
 * fits 64 bits, so that an integer product or quotient of 128 bits holds all that
 * decides the rounding. The rest, long or far from 1, goes through strtod().
 */
#include "tensor/decimal.h"
#include "tensor/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DIGITS 19   /* 10^19 < 2^64 */
#define MAX_STRTOD 1100 /* digits kept for strtod(): what decides the rounding of a double takes at most 768 */
#define MAX_EXPONENT 100000

/* A number taken apart. */
struct decimal {
    const char *start; /* behind the minus */
    uint64_t mantissa; /* of all digits; wrapped around when there are more than 19 */
    int64_t exponent;  /* of ten */
    int digits;        /* significant ones, at most MAX_STRTOD + 1 */
    bool minus;
    bool integer;   /* neither '.' nor 'e' */
    double special; /* NaN or infinity, else 0 */
};

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
/* The value of eight digits, each a byte of 0 to 9, the first one lowest: pairs, then fours, then all, each with one step. */
static inline uint64_t value_of_eight(uint64_t x)
{
    x = x * 10 + (x >> 8);
    x = (x & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064) +
        ((x >> 16) & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x0000271000000001);
    return x >> 32;
}
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
/*
 * Appends the digits, up to eight, at the beginning of eight bytes to mantissa; returns how many. They are moved to the
 * top of the word, behind zeros, so that no loop has to find out how many there are.
 */
static inline unsigned take_eight(const char *at, uint64_t *mantissa)
{
    uint64_t x;
    memcpy(&x, at, sizeof x);
    x ^= UINT64_C(0x3030303030303030);
    /* A byte of x is below 10 for a digit; adding 0x76 then leaves its top bit clear. */
    uint64_t other = ((x + UINT64_C(0x7676767676767676)) | x) & UINT64_C(0x8080808080808080);
    if (other == 0) {
        *mantissa = *mantissa * 100000000 + value_of_eight(x);
        return 8;
    }
    unsigned digits = (unsigned)__builtin_ctzll(other) / 8;
    if (digits > 0)
        *mantissa = *mantissa * el_ten_to[digits] + value_of_eight(x << (64 - 8 * digits));
    return digits;
}
#endif

static inline const char *take_digits(const char *at, const char *end, uint64_t *mantissa)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    while (end != NULL && end - at >= 8) {
        unsigned digits = take_eight(at, mantissa);
        at += digits;
        if (digits < 8)
            return at;
    }
#endif
    for (; is_digit(*at); at++)
        *mantissa = *mantissa * 10 + (unsigned)(*at - '0');
    return at;
}

/* Significant digits between at and the end of the number's digits: without zeros in front and without the point. */
static int count_digits(const char *at, const char *end)
{
    while (at < end && (*at == '0' || *at == '.'))
        at++;
    int digits = 0;
    for (; at < end && digits <= MAX_STRTOD; at++)
        digits += *at != '.';
    return digits;
}

static const char *take_exponent(const char *at, int64_t *exponent)
{
    bool minus = at[1] == '-';
    int64_t value = 0;
    at += at[1] == '-' || at[1] == '+' ? 2 : 1;
    for (; is_digit(*at); at++) {
        if (value < MAX_EXPONENT)
            value = value * 10 + (*at - '0');
    }
    *exponent += minus ? -value : value;
    return at;
}

static inline const char *take(const char *at, const char *end, struct decimal *decimal)
{
    decimal->minus = *at == '-';
    at += decimal->minus;
    decimal->start = at;
    decimal->mantissa = 0;
    decimal->exponent = 0;
    decimal->special = 0;
    if (!is_digit(*at)) {
        decimal->integer = false;
        if (*at == 'N') {
            decimal->special = (double)NAN;
            decimal->digits = MAX_DIGITS;
            return at + 3;
        }
        decimal->special = (double)INFINITY;
        decimal->digits = MAX_DIGITS;
        return at + (at[3] == 'i' ? 8 : 3);
    }
    at = take_digits(at, end, &decimal->mantissa);
    decimal->integer = true;
    const char *digits_end = at;
    if (*at == '.') {
        const char *point = at++;
        at = take_digits(at, end, &decimal->mantissa);
        decimal->exponent = -(at - point - 1);
        decimal->integer = false;
        digits_end = at;
    }
    if (*at == 'e' || *at == 'E') {
        at = take_exponent(at, &decimal->exponent);
        decimal->integer = false;
    }
    decimal->digits = (int)(digits_end - decimal->start <= MAX_DIGITS ? MAX_DIGITS : 0);
    if (decimal->digits == 0)
        decimal->digits = count_digits(decimal->start, digits_end);
    return at;
}

/* bits * 2^exponent rounded to even at 53 bits; sticky: something below bits is not zero. The result is far from the limits of a double. */
static double round_bits(uint64_t bits, int exponent, bool sticky)
{
    int lead = __builtin_clzll(bits);
    bits <<= lead;
    exponent -= lead;
    uint64_t mantissa = bits >> 11, rest = bits & 0x7ff;
    if (rest > 0x400 || (rest == 0x400 && (sticky || (mantissa & 1) != 0)))
        mantissa++; /* a carry into bit 53 is a power of two, which a double holds as well */
    uint64_t scale_bits = (uint64_t)(exponent + 11 + 1023) << 52;
    double scale;
    memcpy(&scale, &scale_bits, sizeof scale);
    return (double)mantissa * scale;
}

/* m * 10^exponent for 0 < |exponent| <= 27. */
static double convert_wide(uint64_t mantissa, int exponent)
{
    if (exponent >= 0) {
        el_wide product = (el_wide)mantissa * el_five_to[exponent];
        uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
        if (high == 0)
            return round_bits(low, exponent, false);
        int lead = __builtin_clzll(high);
        product <<= lead;
        return round_bits((uint64_t)(product >> 64), exponent + 64 - lead, (uint64_t)product != 0);
    }
    uint64_t divisor = el_five_to[-exponent];
    int lead = __builtin_clzll(mantissa), divisor_lead = __builtin_clzll(divisor);
    el_wide numerator = (el_wide)(mantissa << lead)
                        << 63; /* its high half is below the divisor's, so the quotient fits 64 bits */
    divisor <<= divisor_lead;
    uint64_t quotient = (uint64_t)(numerator / divisor);
    bool sticky = (uint64_t)numerator - quotient * divisor != 0;
    return round_bits(quotient, exponent - 63 + divisor_lead - lead, sticky);
}

/* Through strtod(), with a copy of the digits: at most MAX_STRTOD of them, and one more if any that is left out is not zero. */
static double convert_long(const struct decimal *decimal)
{
    char copy[MAX_STRTOD + 32];
    size_t size = 0;
    int64_t exponent = decimal->exponent;
    bool sticky = false, seen = false;
    for (const char *at = decimal->start; is_digit(*at) || *at == '.'; at++) {
        seen |= *at != '0' && *at != '.';
        if (*at == '.' || !seen)
            continue;
        if (size < MAX_STRTOD) {
            copy[size++] = *at;
        } else {
            sticky |= *at != '0';
            exponent++;
        }
    }
    if (size == 0)
        return 0;
    if (sticky) {
        copy[size++] = '1';
        exponent--;
    }
    copy[size++] = 'e';
    exponent = exponent > 2 * MAX_EXPONENT    ? 2 * MAX_EXPONENT
               : exponent < -2 * MAX_EXPONENT ? -2 * MAX_EXPONENT
                                              : exponent;
    size += (size_t)(el_json_format_int(copy + size, exponent) - (copy + size));
    copy[size] = '\0';
    return strtod(copy, NULL);
}

static double convert(const struct decimal *decimal)
{
    if (decimal->digits > MAX_DIGITS)
        return convert_long(decimal);
    uint64_t mantissa = decimal->mantissa;
    int64_t exponent = decimal->exponent;
    if (mantissa == 0)
        return 0;
    if (mantissa <= UINT64_C(1) << 53 && exponent >= -EL_DOUBLE_MAX && exponent <= EL_DOUBLE_MAX)
        return exponent < 0 ? (double)mantissa / el_double_ten_to[-exponent]
                            : (double)mantissa * el_double_ten_to[exponent];
    if (exponent >= -EL_FIVE_MAX && exponent <= EL_FIVE_MAX)
        return convert_wide(mantissa, (int)exponent);
    return convert_long(decimal);
}

static double with_sign(const struct decimal *decimal, double value)
{
    return decimal->minus ? -value : value;
}

/* The integer, if the decimal is one that 64 bits hold. */
static bool is_integer(const struct decimal *decimal, uint64_t *value)
{
    if (!decimal->integer || decimal->digits > MAX_DIGITS + 1)
        return false;
    *value = decimal->mantissa;
    if (decimal->digits == MAX_DIGITS + 1) {
        *value = 0;
        for (const char *at = decimal->start; is_digit(*at); at++) {
            if (__builtin_mul_overflow(*value, UINT64_C(10), value) ||
                __builtin_add_overflow(*value, (uint64_t)(*at - '0'), value))
                return false;
        }
    }
    return !decimal->minus || *value <= UINT64_C(1) << 63;
}

const char *el_json_number(const char *value, struct el_json_number *number)
{
    struct decimal decimal;
    uint64_t whole;
    const char *end = take(value, NULL, &decimal);
    *number = (struct el_json_number){ .kind = EL_JSON_DOUBLE };
    if (!(decimal.special == 0)) {
        number->real = with_sign(&decimal, decimal.special);
    } else if (!is_integer(&decimal, &whole)) {
        number->real = with_sign(&decimal, convert(&decimal));
    } else if (decimal.minus && whole != 0) {
        number->kind = EL_JSON_NEGATIVE;
        number->negative = (int64_t)(0 - whole);
        number->real = (double)number->negative;
    } else {
        number->kind = EL_JSON_POSITIVE; /* "-0" too: to RapidJSON it is the integer 0 */
        number->positive = whole;
        number->real = (double)whole;
    }
    return end;
}

/* The value of anything taken apart, as RapidJSON's GetDouble() has it: integers (also "-0") go through integers. */
static inline double value_of(const struct decimal *decimal)
{
    if (!(decimal->special == 0))
        return with_sign(decimal, decimal->special);
    if (decimal->integer && decimal->digits <= MAX_DIGITS) {
        double whole = (double)decimal->mantissa;
        return decimal->minus && decimal->mantissa != 0 ? -whole : whole;
    }
    return with_sign(decimal, convert(decimal));
}

const char *el_json_number_double(const char *value, const char *end, double *number)
{
    struct decimal decimal;
    const char *behind = take(value, end, &decimal);
    *number = value_of(&decimal);
    return behind;
}

/*
 * The float is the double, rounded once more, as TensorFlow Serving does it. Where the double need not be exact, a
 * quotient of two rounded numbers will do: it is off by at most 2 units in the last place, which changes the float
 * only if the 29 bits that go away are that close to one half.
 */
static inline bool divide_near(uint64_t mantissa, unsigned power, double *quotient)
{
    uint64_t bits;
    *quotient = (double)mantissa / el_double_ten_to[power];
    memcpy(&bits, quotient, sizeof bits);
    return mantissa <= UINT64_C(1) << 53 || ((bits & 0x1fffffff) - 0x0ffffff8) > 16;
}

/*
 * Numbers of the kind "12" and "0.123", with at most 8 digits in front of the point and 19 in all, are nearly all there are.
 * NULL: it is of another kind, which take() takes.
 */
static inline const char *take_plain(const char *at, const char *end, float *number)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    bool minus = *at == '-';
    at += minus;
    if (end == NULL || end - at < 48 || !is_digit(*at))
        return NULL;
    const char *start = at;
    uint64_t mantissa = 0;
    double quotient;
    do
        mantissa = mantissa * 10 + (unsigned)(*at++ - '0');
    while (is_digit(*at));
    if (at - start > 8 || *at == 'e' || *at == 'E')
        return NULL;
    if (*at != '.') {
        *number = minus && mantissa != 0 ? -(float)mantissa : (float)mantissa; /* "-0" is the integer 0 to RapidJSON */
        return at;
    }
    const char *point = at++;
    unsigned digits = take_eight(at, &mantissa);
    at += digits;
    while (digits == 8 && at - point < 24) {
        digits = take_eight(at, &mantissa);
        at += digits;
    }
    unsigned fraction = (unsigned)(at - point - 1);
    if (at - start > MAX_DIGITS + 1 || *at == 'e' || *at == 'E')
        return NULL;
    if (!divide_near(mantissa, fraction, &quotient))
        return NULL;
    *number = (float)(minus ? -quotient : quotient);
    return at;
#else
    (void)at;
    (void)end;
    (void)number;
    return NULL;
#endif
}

const char *el_json_number_float(const char *value, const char *end, float *number)
{
    const char *behind = take_plain(value, end, number);
    if (behind != NULL)
        return behind;
    struct decimal decimal;
    double quotient;
    behind = take(value, end, &decimal);
    if (decimal.digits <= MAX_DIGITS && decimal.exponent < 0 && decimal.exponent >= -EL_DOUBLE_MAX &&
        divide_near(decimal.mantissa, (unsigned)-decimal.exponent, &quotient))
        *number = (float)with_sign(&decimal, quotient);
    else
        *number = (float)value_of(&decimal);
    return behind;
}
