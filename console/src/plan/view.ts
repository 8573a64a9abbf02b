/** How the positions of a plan are shown, kept in the address. */

import { useLayoutEffect } from "preact/hooks";
import { useLocation, useSearch } from "wouter-preact";
import { onKey } from "../keys.ts";
import { readFilters, withFilters } from "../lists/filters.ts";
import { SORTS, type Sort } from "./marks.ts";

export function useView() {
  const search = useSearch();
  const [path, navigate] = useLocation();
  const filters = readFilters(search, ["sort", "view"]);
  const sort =
    (filters["sort"] ?? "distance") in SORTS
      ? ((filters["sort"] ?? "distance") as Sort)
      : "distance";
  const change = (changes: Record<string, string>) =>
    navigate(withFilters(path, search, changes), { replace: true });
  useLayoutEffect(() => {
    const names = Object.keys(SORTS);
    return onKey("s", () =>
      change({ sort: names[(names.indexOf(sort) + 1) % names.length] ?? "distance" }),
    );
  });
  return { sort, isDistance: filters["view"] === "distance", change };
}
