/** The rules of stored models, as the service's own OpenAPI document tells them. */

export interface Rules {
  target: RegExp;
  targetWords: string;
  drift: RegExp;
  security: RegExp;
  idWords: string;
  highestSum: string;
  mostPositions: number;
  isLowAboveHighAllowed: boolean;
}

interface Text {
  pattern?: string;
  anyOf?: Text[];
}
interface Document {
  info: {
    "x-model-rules": {
      stored_models: {
        highest_sum_of_targets: string;
        most_positions: number;
        low_drift_above_high_drift: boolean;
        target: string;
        ids: string;
      };
    };
  };
  components: { schemas: { PositionBody: { properties: Record<string, Text> } } };
}

const NOTHING = /^$/;

function patternOf(text: Text | undefined): RegExp {
  const pattern = text?.pattern ?? text?.anyOf?.find((each) => each.pattern)?.pattern;
  return pattern === undefined ? NOTHING : new RegExp(pattern);
}

export function rulesOf(document: Document): Rules {
  const { stored_models: stored } = document.info["x-model-rules"];
  const fields = document.components.schemas.PositionBody.properties;
  return {
    target: patternOf(fields["target"]),
    targetWords: stored.target,
    drift: patternOf(fields["low_drift"]),
    security: patternOf(fields["security_id"]),
    idWords: stored.ids,
    highestSum: stored.highest_sum_of_targets,
    mostPositions: stored.most_positions,
    isLowAboveHighAllowed: stored.low_drift_above_high_drift,
  };
}

export interface Row {
  security_id: string;
  target: string;
  low_drift: string;
  high_drift: string;
}

export interface Finding {
  row: number; // -1 for the model as a whole
  field: keyof Row | "model";
  text: string;
}

/** An exact part of market value: a decimal or a fraction such as 1/3. */
interface Ratio {
  above: bigint;
  below: bigint;
}

export function ratioOf(text: string): Ratio {
  const [first = "", second] = text.split("/");
  if (second !== undefined) return { above: BigInt(first), below: BigInt(second) };
  const [whole = "", fraction = ""] = first.split(".");
  return { above: BigInt(whole + fraction), below: 10n ** BigInt(fraction.length) };
}

const isMore = (left: Ratio, right: Ratio): boolean =>
  left.above * right.below > right.above * left.below;

const plus = (left: Ratio, right: Ratio): Ratio =>
  left.below === right.below
    ? { above: left.above + right.above, below: left.below }
    : {
        above: left.above * right.below + right.above * left.below,
        below: left.below * right.below,
      };

export const sumOf = (rows: readonly Row[]): Ratio =>
  rows.map(({ target }) => ratioOf(target)).reduce(plus, { above: 0n, below: 1n });

export const toPercent = ({ above, below }: Ratio): number =>
  Number((above * 1_000_000n) / below) / 10_000;

function checkRow(row: Row, place: number, rules: Rules): Finding[] {
  const found: Finding[] = [];
  const tell = (field: keyof Row, text: string) => found.push({ row: place, field, text });
  if (!rules.security.test(row.security_id)) tell("security_id", rules.idWords);
  if (!rules.target.test(row.target)) {
    tell("target", `${rules.targetWords}, at most ${rules.highestSum}`);
  }
  for (const field of ["low_drift", "high_drift"] as const) {
    if (!rules.drift.test(row[field])) tell(field, "a drift is from 0 to 1");
  }
  const areDrifts = rules.drift.test(row.low_drift) && rules.drift.test(row.high_drift);
  if (areDrifts && !rules.isLowAboveHighAllowed) {
    if (isMore(ratioOf(row.low_drift), ratioOf(row.high_drift))) {
      tell("low_drift", "low_drift is at most high_drift");
    }
  }
  return found;
}

/** Everything that the service would refuse in these rows. */
export function check(rows: readonly Row[], rules: Rules): Finding[] {
  const found = rows.flatMap((row, place) => checkRow(row, place, rules));
  const places = new Map<string, number>();
  rows.forEach((row, place) => {
    if (places.has(row.security_id)) {
      found.push({
        row: place,
        field: "security_id",
        text: "this security is in the model already",
      });
    }
    places.set(row.security_id, place);
  });
  if (found.some(({ field }) => field === "target")) return found;
  const model = (text: string) => found.push({ row: -1, field: "model", text });
  if (isMore(sumOf(rows), ratioOf(rules.highestSum))) {
    model(
      `the targets sum to ${toPercent(sumOf(rows))} %, at most ${toPercent(ratioOf(rules.highestSum))} % are allowed`,
    );
  }
  const held = rows.filter(({ target }) => ratioOf(target).above > 0n).length;
  if (held > rules.mostPositions) {
    model(`${held} targets are above 0, at most ${rules.mostPositions} are allowed`);
  }
  return found;
}
