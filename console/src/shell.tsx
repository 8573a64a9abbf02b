/** The frame of every page: where one can go, clock zone, theme, connection, help. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { isOffline } from "./api.ts";
import { Confirm } from "./confirm.tsx";
import { areAmountsHidden, type Zone, zone } from "./format.ts";
import { areLettersOn, isHelpOpen, toggleLetters } from "./keys.ts";
import { MENU } from "./menu.ts";
import { leaving } from "./navigation.ts";
import { SearchBox } from "./search_box.tsx";
import { isSignedIn, may, session } from "./session.ts";
import { Who } from "./sign_in.tsx";
import { chooseTheme, THEMES, type Theme, theme } from "./theme.ts";

export function Shell({ children }: { children: ComponentChildren }) {
  const [path] = useLocation();
  const known = session.value;
  const places = MENU.filter(({ scope }) => known && isSignedIn(known) && (!scope || may(scope)));
  const leave = leaving.value;
  return (
    <>
      <a class="skip" href="#main">
        Skip to the page
      </a>
      <nav aria-label="Pages">
        <span class="brand">Order Generation</span>
        <Who />
        {known && isSignedIn(known) && <SearchBox />}
        {places.map(({ href, under, word, key }) => {
          const isHere = path === href || under.some((each) => path.startsWith(each));
          return (
            <Link
              key={href}
              href={href}
              aria-current={isHere ? "page" : undefined}
              title={`g ${key}`}
            >
              {word}
            </Link>
          );
        })}
        <div class="settings">
          <Choices />
        </div>
      </nav>
      <div class="page">
        {isOffline.value && (
          <p class="offline" role="status">
            No connection to the service. What is shown may be old.
          </p>
        )}
        {children}
      </div>
      <Help />
      {leave && (
        // A question of its own for each try, because a dialog says later that it was closed.
        <Confirm key={leave} question={questionToLeave(leave)} onClose={() => stay(leave)} />
      )}
    </>
  );
}

const stay = (leave: () => void) => {
  if (leaving.value === leave) leaving.value = undefined;
};

const questionToLeave = (leave: () => void) => ({
  title: "Leave without saving?",
  text: "What you changed on this page is not saved and would be lost.",
  verb: "Leave the page",
  act: async () => leave(),
});

function Choices() {
  const chooseZone = (chosen: string) => {
    zone.value = chosen as Zone;
    localStorage.setItem("zone", chosen);
  };
  const chooseAmounts = (chosen: string) => {
    areAmountsHidden.value = chosen === "hidden";
    localStorage.setItem("amounts", chosen);
  };
  return (
    <>
      <label>
        Amounts
        <select
          value={areAmountsHidden.value ? "hidden" : "shown"}
          onChange={(event) => chooseAmounts(event.currentTarget.value)}
        >
          <option>shown</option>
          <option>hidden</option>
        </select>
      </label>
      <label>
        Times
        <select value={zone.value} onChange={(event) => chooseZone(event.currentTarget.value)}>
          <option value="local">local</option>
          <option value="UTC">UTC</option>
        </select>
      </label>
      <label>
        Theme
        <select
          value={theme.value}
          onChange={(event) => chooseTheme(event.currentTarget.value as Theme)}
        >
          {THEMES.map((each) => (
            <option key={each}>{each}</option>
          ))}
        </select>
      </label>
      <button
        type="button"
        onClick={() => {
          isHelpOpen.value = true;
        }}
      >
        Keys
      </button>
    </>
  );
}

const KEYS = [
  ...MENU.map(({ word, key }) => [`g ${key}`, `go to ${word}`] as const),
  ["/", "search for a name or an id"],
  ["j k", "next and previous row"],
  ["Enter", "open the row"],
  ["x", "select the row"],
  ["y", "copy the id of the row"],
  ["[ ]", "previous and next portfolio of the list"],
  ["a h", "approve; hold what is selected or the row"],
  ["e", "edit the targets of the model"],
  ["s", "another order of the picture"],
  ["c", "compare the plan with that of another rebalance"],
  ["d", "only what differs, or all"],
  ["Esc", "leave the field, close what is open, or go back"],
  ["?", "this list"],
] as const;

function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (isHelpOpen.value) dialog.current?.showModal();
  }, [isHelpOpen.value]);
  const close = () => {
    isHelpOpen.value = false;
  };
  return (
    <dialog ref={dialog} onClose={close} aria-labelledby="keys">
      <h2 id="keys">Keys</h2>
      <dl class="keys">
        {KEYS.map(([keys, what]) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <form method="dialog" class="fields">
        <label>
          <input type="checkbox" checked={areLettersOn.value} onChange={toggleLetters} /> keys of
          single letters
        </label>
        <button type="submit">Close</button>
      </form>
    </dialog>
  );
}
