/** Whether the service and everything that it needs is well. */

import { useEffect } from "preact/hooks";
import { read } from "../api.ts";
import { Loaded, Page, Section, Status } from "../parts.tsx";
import { useResource } from "../resource.ts";

const LOOK_MS = 10_000;

export function SystemPage() {
  const health = useResource("health", (signal) => read("/health", { signal }));
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) health.reload();
    }, LOOK_MS);
    return () => clearInterval(timer);
  }, [health.reload]);
  return (
    <Page title="System" meta={health.value && <Status value={health.value.status} />}>
      <Loaded of={health} lines={6}>
        {({ checks, breakers, simulated }) => (
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
