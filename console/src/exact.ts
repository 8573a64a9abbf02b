/** Exact arithmetic on decimals as the service writes them: text in, text out, BigInt between. */

interface Decimal {
  units: bigint; // of 10 to the minus `places`
  places: number;
}

// As the service reads decimals: 0.05, .05, 5. and 5e-2.
const FORM = /^([+-]?)(?=\.?\d)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/;

function parse(text: string): Decimal {
  const found = FORM.exec(text);
  if (!found) throw new RangeError(`${text} is not a decimal`);
  const [, sign, whole, fraction = "", exponent = "0"] = found;
  const units = BigInt(`${whole}${fraction}`) * (sign === "-" ? -1n : 1n);
  const places = fraction.length - Number(exponent);
  return places < 0 ? { units: units * 10n ** BigInt(-places), places: 0 } : { units, places };
}

function write({ units, places }: Decimal): string {
  const digits = (units < 0n ? -units : units).toString().padStart(places + 1, "0");
  const whole = digits.slice(0, digits.length - places);
  const sign = units < 0n ? "-" : "";
  return places ? `${sign}${whole}.${digits.slice(-places)}` : `${sign}${whole}`;
}

function align(left: Decimal, right: Decimal): [bigint, bigint, number] {
  const places = Math.max(left.places, right.places);
  const scale = (each: Decimal) => each.units * 10n ** BigInt(places - each.places);
  return [scale(left), scale(right), places];
}

export const isDecimal = (text: string): boolean => FORM.test(text);

/** The decimal with a digit before the point and without an exponent; another text as it is. */
export const plain = (text: string): string => (isDecimal(text) ? write(parse(text)) : text);

export function add(left: string, right: string): string {
  const [one, other, places] = align(parse(left), parse(right));
  return write({ units: one + other, places });
}

export function negate(text: string): string {
  const { units, places } = parse(text);
  return write({ units: -units, places });
}

export const subtract = (left: string, right: string): string => add(left, negate(right));

export const sum = (texts: Iterable<string>): string => {
  let total = "0";
  for (const each of texts) total = add(total, each);
  return total;
};

export function times(left: string, right: string): string {
  const one = parse(left);
  const other = parse(right);
  return write({ units: one.units * other.units, places: one.places + other.places });
}

/** The quotient to so many places; a half goes away from zero. */
export function divide(left: string, right: string, places = 4): string {
  const [one, other] = align(parse(left), parse(right));
  const size = (each: bigint) => (each < 0n ? -each : each);
  const units = (size(one) * 10n ** BigInt(places) * 2n + size(other)) / (size(other) * 2n);
  return write({ units: one < 0n === other < 0n ? units : -units, places });
}

/** Negative, zero or positive, as left is less than, equal to or greater than right. */
export function compare(left: string, right: string): number {
  const [one, other] = align(parse(left), parse(right));
  return one < other ? -1 : Number(one > other);
}

/** Round to so many places; a half goes away from zero. */
export function round(text: string, places: number): string {
  const given = parse(text);
  if (given.places <= places) {
    return write({ units: given.units * 10n ** BigInt(places - given.places), places });
  }
  const step = 10n ** BigInt(given.places - places);
  const half = given.units < 0n ? -step / 2n : step / 2n;
  return write({ units: (given.units + half) / step, places });
}

/** Move the point to the right: 0.055 by 2 is 5.5. */
export function shift(text: string, by: number): string {
  const { units, places } = parse(text);
  if (places >= by) return write({ units, places: places - by });
  return write({ units: units * 10n ** BigInt(by - places), places: 0 });
}

/** Without zeros at the end of the fraction. */
export const trim = (text: string): string =>
  text.includes(".") ? text.replace(/\.?0+$/, "") : text;

/** For geometry alone: the nearest float. */
export const toFloat = (text: string): number => Number(text);
