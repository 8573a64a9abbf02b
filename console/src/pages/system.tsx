/** Whether the service and everything that it needs is well, and how it is set. */

import { useEffect } from "preact/hooks";
import { read, type Schema } from "../api.ts";
import { count } from "../format.ts";
import { Facts, Loaded, Page, Section, Status } from "../parts.tsx";
import { useResource } from "../resource.ts";
import { may } from "../session.ts";

const LOOK_MS = 10_000;
type System = Partial<Schema<"SystemAnswer">> & { health: Schema<"Health"> };

/** Everybody may ask for the health, and some for the settings. */
const readSystem = async (signal: AbortSignal): Promise<System> =>
  may("system:read")
    ? await read("/api/v1/system", { signal })
    : { health: await read("/health", { signal }) };

export function SystemPage() {
  const system = useResource("system", readSystem);
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) system.reload();
    }, LOOK_MS);
    return () => clearInterval(timer);
  }, [system.reload]);
  return (
    <Page title="System" meta={system.value && <Status value={system.value.health.status} />}>
      <Loaded of={system} lines={6}>
        {(given) => (
          <>
            {given.version !== undefined && (
              <Facts
                facts={[
                  { term: "version", value: given.version },
                  { term: "sign-in", value: given.auth },
                  { term: "model rules", value: given.model_rules },
                  {
                    term: "event streams of this replica",
                    value: count(given.event_streams?.open),
                    note: `of at most ${count(given.event_streams?.most)}`,
                  },
                ]}
              />
            )}
            <Parts health={given.health} />
            {given.settings && <Settings settings={given.settings} />}
          </>
        )}
      </Loaded>
      <Section title="Elsewhere">
        <ul class="lines">
          <li>
            <a href="/docs">Routes of the API</a>, <a href="/redoc">the same to read</a>,{" "}
            <a href="/problems">all problems</a>
          </li>
        </ul>
      </Section>
    </Page>
  );
}

function Parts({ health: { checks, breakers, simulated } }: { health: System["health"] }) {
  return (
    <div class="sheet">
      <table aria-label="Parts">
        <thead>
          <tr>
            <th scope="col">Part</th>
            <th scope="col">State</th>
            <th scope="col">Circuit breaker</th>
            <th scope="col">Where</th>
          </tr>
        </thead>
        <tbody>
          {Object.entries(checks ?? {}).map(([part, state]) => (
            <tr key={part}>
              <th scope="row">{part}</th>
              <td>
                <Status value={state} />
              </td>
              <td>{breakers?.[part] && <Status value={breakers[part]} />}</td>
              <td class="muted">{simulated?.includes(part) ? "simulated" : ""}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Settings({ settings }: { settings: NonNullable<System["settings"]> }) {
  const rows = Object.entries(settings).sort(([one], [other]) => one.localeCompare(other));
  return (
    <Section title="Settings" note="of a secret only whether it is set">
      <div class="sheet">
        <table aria-label="Settings">
          <thead>
            <tr>
              <th scope="col">Setting</th>
              <th scope="col">Value</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(([name, value]) => (
              <tr key={name}>
                <th scope="row">
                  <code>{name}</code>
                </th>
                <td>
                  {value === null || value === "" ? <i class="muted">unset</i> : String(value)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Section>
  );
}
