/** Pages of a list that somebody may group by a column, which is remembered as the columns are. */

import type { Page } from "../api.ts";
import type { Group, GroupedBy } from "./groups.ts";
import { PAGE_ROWS, type PagedRows, usePages } from "./pages.ts";
import { useChoice } from "./use_choice.ts";

const MAX_GROUPS = 50; // because the number of rows is asked of each

/** The part of a list that is read: a place in it, and the filter of a group besides. */
type Part = { offset: number; limit: number };

export function useGroupedPages<Row>(
  list: string,
  key: string,
  offered: readonly GroupedBy[],
  fetchPage: (part: Part, signal: AbortSignal) => Promise<Page<Row>>,
): PagedRows<Row> {
  const [[name], choose] = useChoice("group", list);
  const choices = offered.filter(({ groups }) => groups.length && groups.length <= MAX_GROUPS);
  const chosen = choices.find(({ filter }) => filter === name);
  const rows = usePages<Row>(
    `${list} ${key} ${chosen?.filter}`,
    (offset, limit, signal, group) =>
      fetchPage({ offset, limit, ...(chosen && group && { [chosen.filter]: group }) }, signal),
    PAGE_ROWS,
    chosen?.groups,
  );
  return { ...rows, grouping: { choices, chosen, choose } };
}

export const groupsOf = (values: readonly string[]): Group[] =>
  values.map((value) => ({ value, words: value }));
