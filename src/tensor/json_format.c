/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers as TensorFlow Serving prints them: %.6g if that reads back as the same
 * number, else %.9g (float) or %.17g (double).
 *
 * A float is m * 2^e with whole m. For numbers that are not very far from 1, the
 * product with a power of ten that brings all wanted digits and one more in
 * front of the point fits into 128 bits, so the digits and what is left over are
 * exact, and every rounding below is printf's (to the nearest, ties to even). Whether six digits
 * read back takes one more operation on doubles. What does not fit goes through snprintf() and strtod().
 */
#include "tensor/decimal.h"
#include "tensor/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHORT 6
#define FLOAT_DIGITS 9
#define DOUBLE_DIGITS 17

/* A positive number: mantissa * 2^exponent, and its first decimal digits. */
struct number {
    uint64_t mantissa;
    int exponent;
    uint64_t front; /* one digit more than wanted */
    bool sticky;    /* something not zero is behind them */
    int ten;        /* the exponent of the first digit */
};

/* mantissa * 2^exponent * 10^power, cut to whole. False: does not fit into 128 bits on the way. */
static bool scale(struct number *number, int power)
{
    int bits = 64 - __builtin_clzll(number->mantissa);
    if (power >= 0) {
        if (power > 2 * EL_FIVE_MAX || bits * 100 + power * 233 > 12800) /* log2(5) < 2.33 */
            return false;
        el_wide product = (el_wide)number->mantissa * el_five_to[power < EL_FIVE_MAX ? power : EL_FIVE_MAX];
        if (power > EL_FIVE_MAX)
            product *= el_five_to[power - EL_FIVE_MAX];
        int shift = number->exponent + power;
        if (shift >= 0) {
            number->front = (uint64_t)(product << shift);
            number->sticky = false;
        } else {
            el_wide whole = product >> -shift;
            number->front = (uint64_t)whole;
            number->sticky = whole << -shift != product;
        }
        return true;
    }
    if (-power > EL_TEN_MAX || number->exponent < 0 || bits + number->exponent > 128)
        return false;
    el_wide whole = (el_wide)number->mantissa << number->exponent;
    number->front = (uint64_t)(whole / el_ten_to[-power]);
    number->sticky = (el_wide)number->front * el_ten_to[-power] != whole;
    return true;
}

/* Powers of ten as constants, so that dividing by them is a multiplication. */
#define FORCE_INLINE static inline __attribute__((always_inline))

FORCE_INLINE uint64_t ten_to(int power)
{
    switch (power) {
    case 1:
        return 10u;
    case FLOAT_DIGITS + 1 - SHORT:
        return 10000u;
    case SHORT:
        return 1000000u;
    case FLOAT_DIGITS:
        return 1000000000u;
    case FLOAT_DIGITS + 1:
        return 10000000000u;
    case DOUBLE_DIGITS + 1 - SHORT:
        return 1000000000000u;
    case DOUBLE_DIGITS:
        return 100000000000000000u;
    case DOUBLE_DIGITS + 1:
        return 1000000000000000000u;
    default:
        return el_ten_to[power];
    }
}

/* Fills front with digits + 1 of them, sticky and ten. */
FORCE_INLINE bool find_digits(struct number *number, int digits)
{
    int bits = 64 - __builtin_clzll(number->mantissa);
    int two = number->exponent + bits - 1; /* 2^two <= number < 2^(two + 1) */
    int ten = two * 1262611 >> 22;         /* floor(two * log10(2)), which may be one too low for the number */
    if (two < -250 || two > 250 || !scale(number, digits - ten))
        return false;
    if (number->front >= ten_to(digits + 1)) {
        number->sticky |= number->front % 10 != 0;
        number->front /= 10;
        ten++;
    }
    number->ten = ten;
    return number->front >= ten_to(digits) && number->front < ten_to(digits + 1);
}

/* The first `wanted` of digits + 1 digits, rounded; *ten is one higher where rounding made one digit more. */
FORCE_INLINE uint64_t round_to(const struct number *number, int digits, int wanted, int *ten)
{
    uint64_t unit = ten_to(digits + 1 - wanted);
    uint64_t result = number->front / unit, rest = number->front % unit, half = unit / 2;
    if (rest > half || (rest == half && (number->sticky || (result & 1) != 0)))
        result++;
    *ten = number->ten;
    if (result == ten_to(wanted)) {
        result /= 10;
        ++*ten;
    }
    return result;
}

static const char pairs[] = "0001020304050607080910111213141516171819"
                            "2021222324252627282930313233343536373839"
                            "4041424344454647484950515253545556575859"
                            "6061626364656667686970717273747576777879"
                            "8081828384858687888990919293949596979899";

static inline char *put_digits(char *to, uint64_t value, int digits)
{
    int left = digits;
    for (; left >= 2; left -= 2) {
        memcpy(to + left - 2, pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (left > 0)
        *to = (char)('0' + value);
    return to + digits;
}

static char *put_exponent(char *to, int ten)
{
    *to++ = 'e';
    *to++ = ten < 0 ? '-' : '+';
    unsigned value = (unsigned)(ten < 0 ? -ten : ten);
    if (value >= 100)
        *to++ = (char)('0' + value / 100);
    *to++ = (char)('0' + value / 10 % 10);
    *to++ = (char)('0' + value % 10);
    return to;
}

/* Lays out `digits` digits as %g does, and adds ".0" to what would be an integer. */
FORCE_INLINE char *lay_out(char *to, uint64_t value, int digits, int ten)
{
    char text[DOUBLE_DIGITS + 1];
    int precision = digits;
    put_digits(text, value, digits);
    while (digits > 1 && text[digits - 1] == '0')
        digits--;
    if (ten < -4 || ten >= precision) {
        *to++ = text[0];
        if (digits > 1) {
            *to++ = '.';
            memcpy(to, text + 1, (size_t)(digits - 1));
            to += digits - 1;
        }
        return put_exponent(to, ten);
    }
    if (ten < 0) {
        memcpy(to, "0.0000", 6);
        to += 1 - ten;
        memcpy(to, text, (size_t)digits);
        return to + digits;
    }
    int whole = ten + 1 < digits ? ten + 1 : digits;
    memcpy(to, text, (size_t)whole);
    to += whole;
    for (; whole <= ten; whole++)
        *to++ = '0';
    *to++ = '.';
    if (whole >= digits) {
        *to++ = '0';
        return to;
    }
    memcpy(to, text + whole, (size_t)(digits - whole));
    return to + digits - whole;
}

/* value * 10^power with 6 digits as the nearest double; false if one operation does not tell. */
static bool read_back(uint64_t value, int power, double *result)
{
    if (power < -EL_DOUBLE_MAX || power > EL_DOUBLE_MAX)
        return false;
    *result = power < 0 ? (double)value / el_double_ten_to[-power] : (double)value * el_double_ten_to[power];
    return true;
}

/* printf's and strtod's own word, where the fast way does not reach. */
static char *format_rare(char *to, double value, bool is_float)
{
    int size = snprintf(to, EL_JSON_NUMBER_SIZE - 2, "%.6g", value);
    bool same = is_float ? (double)strtof(to, NULL) == value : strtod(to, NULL) == value;
    if (!same)
        size = snprintf(to, EL_JSON_NUMBER_SIZE - 2, is_float ? "%.9g" : "%.17g", value);
    if (strchr(to, '.') == NULL && strchr(to, 'e') == NULL) {
        memcpy(to + size, ".0", 2);
        size += 2;
    }
    return to + size;
}

static char *put_text(char *to, const char *text)
{
    size_t size = strlen(text);
    memcpy(to, text, size);
    return to + size;
}

/* NaN, infinities, zeros. NULL for other numbers. */
static char *format_special(char *to, double value)
{
    if (isnan(value))
        return put_text(to, "NaN");
    if (isinf(value))
        return put_text(to, value < 0 ? "-Infinity" : "Infinity");
    if (value == 0)
        return put_text(to, signbit(value) ? "-0.0" : "0.0");
    return NULL;
}

char *el_json_format_float(char *to, float value)
{
    char *special = format_special(to, (double)value);
    uint32_t bits;
    if (special != NULL)
        return special;
    memcpy(&bits, &value, sizeof bits);
    uint32_t biased = bits >> 23 & 0xff;
    if (biased == 0)
        return format_rare(to, (double)value, true);
    struct number number = { .mantissa = (bits & 0x7fffff) | 0x800000, .exponent = (int)biased - 127 - 23 };
    if (!find_digits(&number, FLOAT_DIGITS))
        return format_rare(to, (double)value, true);
    int ten;
    double again;
    uint64_t digits = round_to(&number, FLOAT_DIGITS, SHORT, &ten);
    uint64_t again_bits;
    if (!read_back(digits, ten - (SHORT - 1), &again))
        return format_rare(to, (double)value, true);
    memcpy(&again_bits, &again, sizeof again_bits);
    if ((again_bits & 0x1fffffff) == 0x10000000) /* between two floats: rounding once more may be wrong */
        return format_rare(to, (double)value, true);
    char *at = to;
    if (bits >> 31 != 0)
        *at++ = '-';
    if ((float)again == fabsf(value))
        return lay_out(at, digits, SHORT, ten);
    digits = round_to(&number, FLOAT_DIGITS, FLOAT_DIGITS, &ten);
    return lay_out(at, digits, FLOAT_DIGITS, ten);
}

char *el_json_format_double(char *to, double value)
{
    char *special = format_special(to, value);
    uint64_t bits;
    if (special != NULL)
        return special;
    memcpy(&bits, &value, sizeof bits);
    uint64_t biased = bits >> 52 & 0x7ff;
    struct number number = { .mantissa = (bits & 0xfffffffffffff) | (UINT64_C(1) << 52),
                             .exponent = (int)biased - 1023 - 52 };
    int ten;
    double again;
    if (biased == 0 || !find_digits(&number, DOUBLE_DIGITS))
        return format_rare(to, value, false);
    uint64_t digits = round_to(&number, DOUBLE_DIGITS, SHORT, &ten);
    if (!read_back(digits, ten - (SHORT - 1), &again))
        return format_rare(to, value, false);
    char *at = to;
    if (bits >> 63 != 0)
        *at++ = '-';
    if (again == fabs(value))
        return lay_out(at, digits, SHORT, ten);
    digits = round_to(&number, DOUBLE_DIGITS, DOUBLE_DIGITS, &ten);
    return lay_out(at, digits, DOUBLE_DIGITS, ten);
}

char *el_json_format_uint(char *to, uint64_t value)
{
    int digits = 1;
    while (digits < 20 && value >= el_ten_to[digits])
        digits++;
    return put_digits(to, value, digits);
}

char *el_json_format_int(char *to, int64_t value)
{
    if (value >= 0)
        return el_json_format_uint(to, (uint64_t)value);
    *to = '-';
    return el_json_format_uint(to + 1, 0 - (uint64_t)value);
}
