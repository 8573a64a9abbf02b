/** Every version of a model: who made it, when, and what it changed. */

import { list, type Schema } from "../api.ts";
import { count } from "../format.ts";
import { useTickers } from "../names.ts";
import { Empty, Id, Loaded, Section, Time } from "../parts.tsx";
import { useResource } from "../resource.ts";

type Version = Schema<"ModelVersionAnswer">;
type PositionChange = Schema<"PositionChange">;
const SHOWN = 50;

export function Versions({ id }: { id: string }) {
  const versions = useResource(`versions ${id}`, (signal) =>
    list("/api/v1/model/{model_id}/versions", {
      path: { model_id: id },
      query: { limit: SHOWN },
      signal,
    }),
  );
  return (
    <Section title="Versions" note={count(versions.value?.total)}>
      <Loaded of={versions} lines={5}>
        {({ rows }) =>
          rows.length ? (
            <ol class="versions">
              {rows.map((version) => (
                <VersionItem key={version.version} version={version} />
              ))}
            </ol>
          ) : (
            <Empty>No version is kept of this model.</Empty>
          )
        }
      </Loaded>
    </Section>
  );
}

function VersionItem({ version }: { version: Version }) {
  const { changes } = version;
  const positions = changes?.positions ?? [];
  const tickerOf = useTickers(positions.map(({ security_id }) => security_id));
  return (
    <li>
      <p>
        <b>Version {version.version}</b> <Time value={version.at} />{" "}
        {version.principal ?? "by somebody unknown"}{" "}
        {version.correlation_id && (
          <span class="muted">
            correlation id <Id value={version.correlation_id} />
          </span>
        )}
      </p>
      <ul class="lines changes">
        {!changes && <li class="muted">the first version that is kept</li>}
        {positions.map((change) => (
          <li key={change.security_id}>
            <b>{tickerOf(change.security_id) ?? change.security_id}</b>{" "}
            <del>{words(change.before)}</del> to <ins>{words(change.after)}</ins>
          </li>
        ))}
        {changes?.fields.map(({ field, before, after }) => (
          <li key={field}>
            <b>{field}</b> <del>{JSON.stringify(before)}</del> to <ins>{JSON.stringify(after)}</ins>
          </li>
        ))}
        {changes && changes.number_of_portfolios_added > 0 && (
          <li>{count(changes.number_of_portfolios_added)} followers more</li>
        )}
        {changes && changes.number_of_portfolios_removed > 0 && (
          <li>{count(changes.number_of_portfolios_removed)} followers fewer</li>
        )}
      </ul>
    </li>
  );
}

const words = (position: PositionChange["after"]): string =>
  position
    ? `${position.target} −${position.low_drift} +${position.high_drift}`
    : "not in the model";
