/** A choice for a list. The address has it too, so that a link shows the same to everybody. */

import { useLayoutEffect, useState } from "preact/hooks";
import { useLocation, useSearch } from "wouter-preact";
import { type Kind, namesIn, readNames, storeNames } from "./choices.ts";
import { withFilters } from "./filters.ts";

export function useChoice(kind: Kind, list: string) {
  const [path, navigate] = useLocation();
  const [own, setOwn] = useState(() => readNames(kind, list));
  const asked = namesIn(useSearch(), kind, list);
  const show = (names: readonly string[]) => {
    // The address as it is now, because another choice may have changed it since.
    const to = withFilters(path, location.search, { [`${kind}.${list}`]: names.join() });
    navigate(to, { replace: true });
  };
  useLayoutEffect(() => {
    if (!asked && own.length) show(own);
  }, []);
  const choose = (names: readonly string[]) => {
    setOwn(names);
    storeNames(kind, list, names);
    show(names);
  };
  return [asked ?? own, choose] as const;
}
