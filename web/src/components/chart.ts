/** ECharts with only the parts that we draw, and the colours of the page. */
import { BarChart, LineChart } from 'echarts/charts';
import {
  AriaComponent,
  GridComponent,
  MarkAreaComponent,
  MarkLineComponent,
  TooltipComponent,
} from 'echarts/components';
import * as echarts from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';

echarts.use([
  BarChart,
  LineChart,
  AriaComponent,
  GridComponent,
  MarkAreaComponent,
  MarkLineComponent,
  TooltipComponent,
  CanvasRenderer,
]);

export { echarts };

/** A colour of the style sheet as it is now. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Colours for values without a meaning of their own, told apart by colour-blind people (after Okabe and Ito). */
const OTHERS = {
  light: [
    '#3b4a6b',
    '#0f9a83',
    '#e0a100',
    '#cc6fa5',
    '#5aa6d8',
    '#a4532a',
    '#7a8b3a',
    '#8a78c9',
    '#c95f5f',
    '#4f7f8c',
    '#b08b5a',
    '#a3a9b3',
  ],
  dark: [
    '#93a5d1',
    '#3cc4ac',
    '#f0bd3a',
    '#e493c2',
    '#7cc0ee',
    '#d08052',
    '#aebf66',
    '#ad9de8',
    '#e88a8a',
    '#7fb3c2',
    '#d1b083',
    '#707886',
  ],
};

/** The colour of a line of a series. */
export function lineColour(by: string, name: string, at: number, dark: boolean): string {
  if (by === 'sentiment') {
    return colour(name === '' ? 'line-strong' : name);
  }
  const palette = dark ? OTHERS.dark : OTHERS.light;
  return palette[Math.min(at, palette.length - 1)]!;
}
