{#-
  What is expected of each segment set, for fct_segment_health to compare with: a list with one mapping a set, in the
  order of vars.segment_sets.

    name, kind                                      as in segment_sets()
    max_size_change, small_size, max_tiny_share     config.meta.segment_set.health, else vars.health
    segments       a list: name (null for an attribute set), min_members, max_share (null: no bound), may_be_empty
    event_types    a list: name, expected_days, status_beyond (`fail` where the set itself states the interval, else
                   `warn`: what is usual elsewhere must not stop the build of a product that is not so)

  Empty while dbt parses: there is no graph yet, and the model needs no ref() from here.
-#}
{% macro segment_health_bounds() %}
    {%- set bounds = [] -%}
    {%- set keys = ['max_size_change', 'small_size', 'max_tiny_share'] -%}
    {%- if execute -%}
        {%- set of_project = var('health') -%}
        {%- do check_health(of_project, 'dbt_project.yml: vars.health', keys + ['default_expected_days']) -%}
        {%- for key in keys + ['default_expected_days'] if of_project.get(key) is none -%}
            {%- do exceptions.raise_compiler_error(
                "dbt_project.yml: vars.health." ~ key ~ " is missing; write a number"
            ) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- for set in segment_sets() if execute -%}
        {%- set where = set.node.patch_path.split('://')[1] -%}
        {%- set of_set = set.node.config.meta.segment_set.get('health') or {} -%}
        {%- do check_health(of_set, where ~ ': config.meta.segment_set.health', keys) -%}

        {%- set segments = [] -%}
        {%- for segment in set.segments -%}
            {%- set said = set.node.columns[segment.column].config.meta -%}
            {%- set here = where ~ ', ' ~ segment.column ~ ': config.meta' -%}
            {%- if said.get('may_be_empty', false) is not boolean -%}
                {%- do exceptions.raise_compiler_error(
                    here ~ ".may_be_empty is '" ~ said.may_be_empty ~ "'; write true or false"
                ) -%}
            {%- endif -%}
            {%- do segments.append({
                'name': segment.name,
                'min_members': health_number(said, 'min_members', here, 0, none),
                'max_share': health_number(said, 'max_share', here, 0, 1),
                'may_be_empty': said.get('may_be_empty', false),
            }) -%}
        {%- endfor -%}

        {%- set event_types = [] -%}
        {%- set stated_days = of_set.get('expected_days') or {} -%}
        {%- set usual_days = of_project.get('expected_days') or {} -%}
        {%- for name in event_types_of(set.node) -%}
            {%- do event_types.append({
                'name': name,
                'expected_days': stated_days.get(name, usual_days.get(name, of_project.default_expected_days)),
                'status_beyond': 'fail' if name in stated_days else 'warn',
            }) -%}
        {%- endfor -%}

        {%- set bound = {'name': set.name, 'kind': set.kind, 'segments': segments, 'event_types': event_types} -%}
        {%- for key in keys -%}
            {%- do bound.update({key: of_set.get(key, of_project[key])}) -%}
        {%- endfor -%}
        {%- do bounds.append(bound) -%}
    {%- endfor -%}
    {{ return(bounds) }}
{% endmacro %}

{#- Raises an error where a bound is no number, or where nothing has such a name: nobody would watch that bound. -#}
{% macro check_health(stated, where, keys) %}
    {%- set lowest_and_highest = {
        'max_size_change': (1, none),
        'small_size': (1, none),
        'max_tiny_share': (0, 1),
        'default_expected_days': (0, none),
    } -%}
    {%- for key in stated if key not in keys + ['expected_days'] -%}
        {%- do exceptions.raise_compiler_error(
            where ~ "." ~ key ~ " is not known; use " ~ (keys + ['expected_days']) | join(', ')
        ) -%}
    {%- endfor -%}
    {%- for key in keys -%}
        {%- do health_number(stated, key, where, *lowest_and_highest[key]) -%}
    {%- endfor -%}

    {%- set event_types = [] -%}
    {%- for column in int_user_metrics_node().columns.values() -%}
        {%- do event_types.extend(column.config.meta.get('event_types') or []) -%}
    {%- endfor -%}
    {%- for name in stated.get('expected_days') or {} -%}
        {%- if name not in event_types -%}
            {%- do exceptions.raise_compiler_error(
                where ~ ".expected_days." ~ name ~ ": no metric rests on such events; use "
                ~ event_types | unique | sort | join(', ')
            ) -%}
        {%- endif -%}
        {%- do health_number(stated.expected_days, name, where ~ '.expected_days', 0, none) -%}
    {%- endfor -%}
{% endmacro %}

{#- A number that YAML gives, or nothing for nothing. An error names where it was written, if it is none. -#}
{% macro health_number(stated, key, where, lowest, highest) %}
    {%- set value = stated.get(key) -%}
    {%- if value is none -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set is_number = value is number and value is not boolean -%}
    {%- if not is_number or value < lowest or (highest is not none and value > highest) -%}
        {%- do exceptions.raise_compiler_error(
            where ~ "." ~ key ~ " is '" ~ value ~ "'; write a number "
            ~ ("of " ~ lowest ~ " or more" if highest is none else "from " ~ lowest ~ " to " ~ highest)
        ) -%}
    {%- endif -%}
    {{ return(value) }}
{% endmacro %}

{#-
  The event types on which a set rests: those of the metrics (config.meta.event_types of the columns of
  int_user_metrics) that stand as a word in its SQL, outside comments and quotes. Each once.
-#}
{% macro event_types_of(node) %}
    {%- set sql = modules.re.sub("--[^\\n]*|'[^']*'", ' ', node.raw_code) -%}
    {%- set words = modules.re.findall('\\w+', sql | lower) -%}
    {%- set found = [] -%}
    {%- for column in int_user_metrics_node().columns.values() if column.name in words -%}
        {%- do found.extend(column.config.meta.get('event_types') or []) -%}
    {%- endfor -%}
    {{ return(found | unique | list) }}
{% endmacro %}

{% macro int_user_metrics_node() %}
    {{ return(graph.nodes.values() | selectattr('resource_type', 'equalto', 'model')
        | selectattr('name', 'equalto', 'int_user_metrics') | first) }}
{% endmacro %}
