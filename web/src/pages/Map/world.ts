/** World geometry (Natural Earth, 1:110 m, from world-atlas), its countries named by their two-letter codes. */
import iso from 'i18n-iso-countries/codes.json';
import { feature } from 'topojson-client';
import type { GeometryCollection, Topology } from 'topojson-specification';
import atlas from 'world-atlas/countries-110m.json';
import { echarts } from '../../components/chart';

/** Numeric code of ISO 3166-1 to the two letters. */
const LETTERS = new Map((iso as string[][]).map(([letters, , numeric]) => [numeric, letters] as const));
/** Territories without a numeric code. */
const NAMED = new Map([['Kosovo', 'XK']]);

let registered = false;

/** Makes the map `world` known to ECharts, once. */
export function registerWorld(): void {
  if (registered) return;
  const topology = atlas as unknown as Topology<{ countries: GeometryCollection<{ name: string }> }>;
  const world = feature(topology, topology.objects.countries);
  for (const country of world.features) {
    const { name } = country.properties;
    country.properties.name = LETTERS.get(String(country.id ?? '').padStart(3, '0')) ?? NAMED.get(name) ?? name;
  }
  // Antarctica takes a fifth of the sheet and posts nothing.
  world.features = world.features.filter((country) => country.properties.name !== 'AQ');
  echarts.registerMap('world', world as unknown as Parameters<typeof echarts.registerMap>[1]);
  registered = true;
}
