/** The way from a page that shows a model to its editor, by key. */

import { useLayoutEffect } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { onKey } from "../keys.ts";
import { may } from "../session.ts";

/** State of a navigation after which the editor takes the focus. */
export const EDIT = "edit";

/** Let e open the editor at this address; nothing while it is not known. */
export function useEditKey(href: string | undefined): void {
  const [, navigate] = useLocation();
  useLayoutEffect(() =>
    href && may("models:read") ? onKey("e", () => navigate(href, { state: EDIT })) : undefined,
  );
}
