/** The search of every page: by `/`, answered by Enter; a single hit is opened at once. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { ServiceError } from "./api.ts";
import { onKey } from "./keys.ts";
import { Problem } from "./parts.tsx";
import { type Answer, find } from "./search.ts";

export function SearchBox() {
  const [path, navigate] = useLocation();
  const field = useRef<HTMLInputElement>(null);
  const [answer, setAnswer] = useState<Answer>();
  const [error, setError] = useState<ServiceError>();
  const [isBusy, setBusy] = useState(false);
  const close = () => {
    setAnswer(undefined);
    setError(undefined);
  };
  useLayoutEffect(() => onKey("/", () => field.current?.focus()));
  useEffect(close, [path]);
  const look = async () => {
    const text = field.current?.value.trim();
    if (!text || isBusy) return;
    close();
    setBusy(true);
    try {
      const hits = await find(text);
      const [only] = hits.found;
      if (only && hits.found.length === 1 && !hits.withoutNames) navigate(only.href);
      else setAnswer(hits);
    } catch (reason) {
      setError(reason instanceof ServiceError ? reason : new ServiceError(0, {}, null));
    }
    setBusy(false);
  };
  const found = answer?.found;
  return (
    <search
      class="search"
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !(answer || error)) return;
        close();
        event.preventDefault(); // otherwise the page goes back, too
      }}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void look();
        }}
      >
        <input
          ref={field}
          type="search"
          aria-label="Search"
          placeholder="name or id  /"
          maxLength={64}
          aria-busy={isBusy}
        />
      </form>
      {(answer || error) && (
        <div class="found" role="status">
          {error && <Problem error={error} />}
          {found?.length === 0 && <p>Nothing has this name or id.</p>}
          {answer?.withoutNames && (
            <p class="muted">Portfolios were not found by name: {answer.withoutNames}</p>
          )}
          {found && found.length > 0 && (
            <ul class="lines" aria-label="Found">
              {found.map(({ kind, name, href }) => (
                <li key={href}>
                  <Link href={href} onClick={close}>
                    {name}
                  </Link>{" "}
                  <span class="muted">{kind}</span>
                </li>
              ))}
            </ul>
          )}
        </div>
      )}
    </search>
  );
}
