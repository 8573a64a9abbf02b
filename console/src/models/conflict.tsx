/** Somebody saved first: what was, what they made of it, and what one's own edit says. */

import { Section } from "../parts.tsx";
import { changesOf } from "./changes.ts";
import { type Model, rowsOf } from "./editor.tsx";
import type { Row } from "./rules.ts";

export function Conflict(props: {
  was: readonly Row[];
  mine: readonly Row[];
  theirs: Model;
  tickerOf: (id: string) => string | undefined;
  onTake: () => void;
  onKeep: () => void;
}) {
  const theirs = new Map(
    changesOf(props.was, rowsOf(props.theirs)).map((each) => [keyOf(each), each]),
  );
  const mine = new Map(changesOf(props.was, props.mine).map((each) => [keyOf(each), each]));
  const keys = [...new Set([...theirs.keys(), ...mine.keys()])];
  return (
    <Section
      title={`Version ${props.theirs.version} was saved meanwhile`}
      note="nothing of yours is lost, and nothing of theirs is overwritten"
    >
      <div class="sheet">
        <table aria-label="Three versions">
          <thead>
            <tr>
              <th scope="col">Value</th>
              <th scope="col">Was</th>
              <th scope="col">Theirs</th>
              <th scope="col">Yours</th>
            </tr>
          </thead>
          <tbody>
            {keys.map((key) => {
              const [one, other] = [theirs.get(key), mine.get(key)];
              const { security_id, field, was } = one ?? other ?? NONE;
              return (
                <tr key={key}>
                  <th scope="row">
                    {props.tickerOf(security_id) ?? security_id} {field}
                  </th>
                  <td>{was ?? "not there"}</td>
                  <td>{one ? (one.now ?? "taken out") : "as it was"}</td>
                  <td>{other ? (other.now ?? "taken out") : "as it was"}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      <div class="actions">
        <button type="button" onClick={props.onKeep}>
          Make my changes on theirs
        </button>
        <button type="button" onClick={props.onTake}>
          Take theirs
        </button>
      </div>
    </Section>
  );
}

const NONE = { security_id: "", field: "", was: undefined };
const keyOf = ({ security_id, field }: { security_id: string; field: string }) =>
  `${security_id} ${field}`;
