/** The pages of the menu, the keys after g that lead to them, and the right that each needs. */

export const MENU = [
  { href: "/", under: [], word: "Today", key: "t", scope: "" },
  { href: "/book", under: ["/book"], word: "Book", key: "b", scope: "portfolios:read" },
  {
    href: "/runs",
    under: ["/runs", "/rebalance/"],
    word: "Runs",
    key: "r",
    scope: "rebalances:read",
  },
  { href: "/models", under: ["/model"], word: "Models", key: "m", scope: "models:read" },
  { href: "/review", under: ["/review"], word: "Review", key: "v", scope: "rebalances:read" },
  { href: "/orders", under: ["/orders"], word: "Orders", key: "o", scope: "orders:read" },
  { href: "/upload", under: ["/upload"], word: "Upload", key: "u", scope: "optimize:use" },
  { href: "/history", under: ["/history"], word: "History", key: "h", scope: "audit:read" },
  { href: "/system", under: ["/system"], word: "System", key: "s", scope: "" },
] as const;
