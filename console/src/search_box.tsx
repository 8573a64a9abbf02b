/** The search of every page: by `/`, answered by Enter; a single hit is opened at once. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { onKey } from "./keys.ts";
import { Problem } from "./parts.tsx";
import { useAction } from "./resource.ts";
import { type Answer, find } from "./search.ts";

export function SearchBox() {
  const [path, navigate] = useLocation();
  const field = useRef<HTMLInputElement>(null);
  const [answer, setAnswer] = useState<Answer>();
  const { isBusy, error, run, forget } = useAction();
  const close = () => {
    setAnswer(undefined);
    forget();
  };
  useLayoutEffect(() => onKey("/", () => field.current?.focus()));
  useEffect(close, [path]);
  const look = () => {
    const text = field.current?.value.trim();
    if (!text || isBusy) return;
    close();
    void run(async () => {
      const hits = await find(text);
      const [only] = hits.found;
      if (only && hits.found.length === 1 && !hits.withoutNames) navigate(only.href);
      else setAnswer(hits);
    });
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
          look();
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
